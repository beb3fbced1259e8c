"""Written results are read again; whatever disagrees with the memory must not leave."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from tests.aspects_findings import aspects_analysis, aspects_findings, rejected_findings
from tests.infarct_findings import infarct_analysis
from tests.plain_series import plain_series
from tests.synthetic_ct import SAGITTAL, write_ct_series
from willis_models.errors import RoundTripMismatch
from willis_models.findings import Amendment
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.layers import layers_of
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_sr import verify_sr

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
UNEVEN = [4.0] * 12 + [4.0, 6.0, 7.0] + [7.0] * 12
OBLIQUE = (0.9396926, 0.3213938, 0.1169778, -0.3420201, 0.8830222, 0.3213938)

STACKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tilted": {"tilt_deg": 18.5},
    "tilted the other way and uneven": {"tilt_deg": -20.0, "steps_mm": UNEVEN},
    "oblique": {"orientation": OBLIQUE},
    "rows run to the patient's right": {"orientation": (-1, 0, 0, 0, 1, 0)},
    "columns run forward": {"orientation": (1, 0, 0, 0, -1, 0)},
    "feet at the top of the stack": {"orientation": (-1, 0, 0, 0, -1, 0)},
    "sagittal": {"orientation": SAGITTAL},
    "enhanced, frames out of order": {"enhanced": True, "steps_mm": UNEVEN},
}


@dataclass(frozen=True)
class Case:
    """A series, its analysis and both results as they come back from disk."""

    series: DicomSeries
    analysis: Analysis
    seg: Dataset
    sr: Dataset

    def verify_seg(self, seg: Dataset | None = None, labels: Any = None) -> None:
        memory = self.analysis.labels if labels is None else labels
        verify_seg(seg or self.seg, self.analysis.findings.segments, [memory], self.series)

    def verify_sr(self, sr: Dataset) -> None:
        verify_sr(sr, self.analysis.findings, self.series.headers, self.seg)


def _case(folder: Path, **changes: Any) -> Case:
    series = plain_series(write_ct_series(folder / "ct", **changes))
    analysis = aspects_analysis(series.image.stack)
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    seg.save_as(folder / "seg.dcm")
    write_sr(analysis, series.headers, seg, EQUIPMENT, created=CREATED).save_as(folder / "sr.dcm")
    return Case(series, analysis, dcmread(folder / "seg.dcm"), dcmread(folder / "sr.dcm"))


@pytest.fixture(scope="module")
def tilted(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return _case(tmp_path_factory.mktemp("tilted"), tilt_deg=18.5, steps_mm=UNEVEN)


@pytest.mark.parametrize("stack", STACKS)
def test_results_of_any_geometry_pass(tmp_path: Path, stack: str) -> None:
    case = _case(tmp_path, **STACKS[stack])

    case.verify_seg()
    case.verify_sr(case.sr)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("voxels", [-2, -1, 1, 2])
def test_a_mask_shifted_by_a_voxel_or_two_is_found(tilted: Case, axis: int, voxels: int) -> None:
    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(labels=np.roll(tilted.analysis.labels, voxels, axis))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_mask_is_found(tilted: Case, axis: int) -> None:
    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(labels=np.flip(tilted.analysis.labels, axis))


def test_swapped_sides_are_found(tilted: Case) -> None:
    labels = tilted.analysis.labels
    swapped = np.where(labels > 10, labels - 10, np.where(labels > 0, labels + 10, 0))

    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(labels=swapped.astype(np.uint8))


def test_one_wrong_voxel_is_found(tilted: Case) -> None:
    labels = tilted.analysis.labels.copy()
    labels[tuple(np.argwhere(labels == 5)[0])] = 0

    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(labels=labels)


def _first_frame(seg: Dataset) -> Dataset:
    return seg.PerFrameFunctionalGroupsSequence[0]


def _move_frame(seg: Dataset) -> None:
    position = _first_frame(seg).PlanePositionSequence[0]
    x, y, z = map(float, position.ImagePositionPatient)
    position.ImagePositionPatient = [x + 3.5, y, z]


def _move_every_frame(seg: Dataset) -> None:
    for group in seg.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0]
        x, y, z = map(float, position.ImagePositionPatient)
        position.ImagePositionPatient = [x, y + 3.5, z]


def _turn_rows(seg: Dataset) -> None:
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    cosines = [float(value) for value in orientation.ImageOrientationPatient]
    orientation.ImageOrientationPatient = [-cosines[0], *cosines[1:]]


def _stretch_pixels(seg: Dataset) -> None:
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = [float(value) * 1.1 for value in measures.PixelSpacing]


def _drop_frame(seg: Dataset) -> None:
    frame = seg.pixel_array.shape[1] * seg.pixel_array.shape[2] // 8
    seg.PerFrameFunctionalGroupsSequence = list(seg.PerFrameFunctionalGroupsSequence)[1:]
    seg.PixelData = seg.PixelData[frame:]
    seg.NumberOfFrames -= 1


def _name_other_source(seg: Dataset) -> None:
    last = seg.PerFrameFunctionalGroupsSequence[-1].DerivationImageSequence[0]
    first = _first_frame(seg).DerivationImageSequence[0]
    other = last.SourceImageSequence[0].ReferencedSOPInstanceUID
    first.SourceImageSequence[0].ReferencedSOPInstanceUID = other


def _forget_source(seg: Dataset) -> None:
    del seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[3]


def _swap_a_side(seg: Dataset) -> None:
    left, right = seg.SegmentSequence[5], seg.SegmentSequence[15]
    for item, other in ((left, deepcopy(right)), (right, deepcopy(left))):
        item.SegmentedPropertyTypeCodeSequence = other.SegmentedPropertyTypeCodeSequence
        item.AnatomicRegionSequence = other.AnatomicRegionSequence


def _contradict_a_side(seg: Dataset) -> None:
    right = seg.SegmentSequence[15].AnatomicRegionSequence
    seg.SegmentSequence[5].AnatomicRegionSequence = deepcopy(right)


def _leave_frame_of_reference(seg: Dataset) -> None:
    seg.FrameOfReferenceUID = "1.2.3"


@pytest.mark.parametrize(
    "damage",
    [
        _move_frame,
        _move_every_frame,
        _turn_rows,
        _stretch_pixels,
        _drop_frame,
        _name_other_source,
        _forget_source,
        _swap_a_side,
        _contradict_a_side,
        _leave_frame_of_reference,
    ],
)
def test_a_damaged_seg_is_found(tilted: Case, damage: Callable[[Dataset], None]) -> None:
    seg = deepcopy(tilted.seg)
    damage(seg)

    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(seg)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    number=st.integers(1, 20),
    shift=st.tuples(*[st.integers(-3, 3)] * 3).filter(lambda shift: any(shift)),
)
def test_any_single_shifted_segment_is_found(
    tilted: Case, number: int, shift: tuple[int, int, int]
) -> None:
    labels = tilted.analysis.labels
    moved = np.roll(labels == number, shift, (0, 1, 2))
    changed = np.where(moved, number, np.where(labels == number, 0, labels)).astype(np.uint8)

    with pytest.raises(RoundTripMismatch):
        tilted.verify_seg(labels=changed)


def _items(sr: Dataset, value_type: str) -> list[Dataset]:
    found, waiting = [], [sr]
    while waiting:
        item = waiting.pop(0)
        children = list(item.get("ContentSequence", ()))
        found += [child for child in children if child.ValueType == value_type]
        waiting += children
    return found


def _change_number(sr: Dataset) -> None:
    value = _items(sr, "NUM")[10].MeasuredValueSequence[0]
    value.NumericValue = float(value.NumericValue) + 0.5


def _change_unit(sr: Dataset) -> None:
    unit = _items(sr, "NUM")[7].MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    unit.CodeValue = "mm"


def _change_score(sr: Dataset) -> None:
    _items(sr, "NUM")[0].MeasuredValueSequence[0].NumericValue = 3


def _change_side(sr: Dataset) -> None:
    sides = [
        i for i in _items(sr, "CODE") if i.ConceptCodeSequence[0].get("CodeValue") == "7771000"
    ]
    sides[3].ConceptCodeSequence[0].CodeValue = "24028007"


def _change_state(sr: Dataset) -> None:
    states = [i for i in _items(sr, "CODE") if i.ConceptCodeSequence[0].CodeValue == "AFFECTED"]
    states[0].ConceptCodeSequence[0].CodeValue = "UNAFFECTED"


def _change_segment(sr: Dataset) -> None:
    _items(sr, "IMAGE")[4].ReferencedSOPSequence[0].ReferencedSegmentNumber = 1


def _change_seg(sr: Dataset) -> None:
    _items(sr, "IMAGE")[4].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def _drop_group(sr: Dataset) -> None:
    groups = next(i for i in _items(sr, "CONTAINER") if len(i.ContentSequence) == 22)
    del groups.ContentSequence[4]


def _drop_statement(sr: Dataset) -> None:
    statement = next(i for i in _items(sr, "TEXT") if i.TextValue.startswith("Research use"))
    statement.TextValue = "Trust me."


def _drop_evidence(sr: Dataset) -> None:
    study = sr.CurrentRequestedProcedureEvidenceSequence[0]
    del study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]


@pytest.mark.parametrize(
    "damage",
    [
        _change_number,
        _change_unit,
        _change_score,
        _change_side,
        _change_state,
        _change_segment,
        _change_seg,
        _drop_group,
        _drop_statement,
        _drop_evidence,
    ],
)
def test_a_damaged_sr_is_found(tilted: Case, damage: Callable[[Dataset], None]) -> None:
    sr = deepcopy(tilted.sr)
    damage(sr)

    with pytest.raises(RoundTripMismatch):
        tilted.verify_sr(sr)


def test_the_sr_of_other_findings_is_found(tilted: Case) -> None:
    other = aspects_findings(affected=("right_M2",))

    with pytest.raises(RoundTripMismatch):
        verify_sr(tilted.sr, other, tilted.series.headers, tilted.seg)


def test_the_sr_of_a_rejected_study_passes_only_for_its_reason(tilted: Case) -> None:
    headers = tilted.series.headers[:1]
    findings = rejected_findings("CONTRAST_GIVEN")
    sr = write_sr(Analysis(findings), headers, None, EQUIPMENT, created=CREATED)

    verify_sr(sr, findings, headers, None)
    with pytest.raises(RoundTripMismatch):
        verify_sr(sr, rejected_findings("MISSING_SLICES"), headers, None)


def test_a_rejected_study_must_not_hold_a_number(tilted: Case) -> None:
    with pytest.raises(RoundTripMismatch, match="number"):
        verify_sr(tilted.sr, rejected_findings(), tilted.series.headers, tilted.seg)


def test_an_amendment_must_name_what_it_amends_and_say_so(tilted: Case) -> None:
    headers = tilted.series.headers[:1]
    plain = rejected_findings("CONTRAST_GIVEN")
    amends = Amendment(job_id="job-1", status="succeeded")
    findings = plain.model_copy(update={"amends": amends})
    given: dict[str, Any] = {"created": CREATED}
    sr = write_sr(Analysis(findings), headers, None, EQUIPMENT, predecessor=tilted.sr, **given)
    silent = write_sr(Analysis(plain), headers, None, EQUIPMENT, predecessor=tilted.sr, **given)

    verify_sr(sr, findings, headers, None, tilted.sr)
    with pytest.raises(RoundTripMismatch, match="another predecessor"):
        verify_sr(sr, findings, headers, None)
    with pytest.raises(RoundTripMismatch, match="does not say"):
        verify_sr(silent, findings, headers, None, tilted.sr)
    with pytest.raises(RoundTripMismatch, match="has the UID"):
        _amend_itself(sr)
        verify_sr(sr, findings, headers, None, sr)


def _amend_itself(sr: Dataset) -> None:
    document = sr.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    document.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = sr.SOPInstanceUID


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> tuple[DicomSeries, Analysis, Dataset]:
    """A SEG whose segments overlap."""
    folder = tmp_path_factory.mktemp("layered")
    series = plain_series(write_ct_series(folder / "ct", shape=(12, 32, 32), slice_step_mm=8.0))
    analysis = infarct_analysis(series.image.stack)
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    seg.save_as(folder / "seg.dcm")
    return series, analysis, dcmread(folder / "seg.dcm")


def test_segments_that_overlap_are_checked_layer_by_layer(
    layered: tuple[DicomSeries, Analysis, Dataset],
) -> None:
    series, analysis, seg = layered

    verify_seg(seg, analysis.findings.segments, layers_of(analysis), series)


@pytest.mark.parametrize("place", [0, 1])
def test_a_layer_that_is_shifted_is_found(
    layered: tuple[DicomSeries, Analysis, Dataset], place: int
) -> None:
    series, analysis, seg = layered
    layers = list(layers_of(analysis))
    layers[place] = np.roll(layers[place], 1, axis=2)

    with pytest.raises(RoundTripMismatch):
        verify_seg(seg, analysis.findings.segments, layers, series)


def test_a_lesion_written_as_anatomy_is_found(
    layered: tuple[DicomSeries, Analysis, Dataset],
) -> None:
    series, analysis, seg = layered
    changed = deepcopy(seg)
    changed.SegmentSequence[2].SegmentedPropertyCategoryCodeSequence[0].CodeValue = "91723000"

    with pytest.raises(RoundTripMismatch):
        verify_seg(changed, analysis.findings.segments, layers_of(analysis), series)
