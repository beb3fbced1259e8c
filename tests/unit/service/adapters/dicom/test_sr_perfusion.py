"""The structured report of a perfusion study: numbers, intervals, vessels, criteria, zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tests.infarct_findings import (
    AIF_LPS,
    infarct_analysis,
    infarct_analysis_without_lesion,
    infarct_findings,
)
from tests.plain_series import plain_series
from tests.synthetic_ct import write_ct_series
from willis_models.errors import RoundTripMismatch
from willis_models.findings import NOTHING_FOUND, Findings
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify_sr import verify_sr

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Report:
    series: DicomSeries
    findings: Findings
    sr: Dataset
    seg: Dataset | None
    maps: tuple[Dataset, ...]

    def verify(self, sr: Dataset | None = None, findings: Findings | None = None) -> None:
        against = findings or self.findings
        verify_sr(sr or self.sr, against, self.series.headers, self.seg, maps=self.maps)


def report_of(series: DicomSeries, analysis: Analysis, path: Path) -> Report:
    findings = analysis.findings
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    maps = tuple(
        write_map(one, findings, series, EQUIPMENT, created=CREATED) for one in analysis.maps
    )
    made = write_sr(analysis, series.headers, seg, EQUIPMENT, created=CREATED, maps=maps)
    made.save_as(path, enforce_file_format=True)
    return Report(series, findings, dcmread(path), seg, maps)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> DicomSeries:
    folder = tmp_path_factory.mktemp("ct")
    return plain_series(write_ct_series(folder, shape=(8, 24, 24), slice_step_mm=10.0))


@pytest.fixture(scope="module")
def report(series: DicomSeries, tmp_path_factory: pytest.TempPathFactory) -> Report:
    path = tmp_path_factory.mktemp("sr") / "sr.dcm"
    return report_of(series, infarct_analysis(series.image.stack), path)


def walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from walk(child)


def name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def code(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeValue)


def group(sr: Dataset, identifier: str) -> Dataset:
    return next(
        item
        for item in walk(sr)
        if name(item) == "Measurement Group"
        and any(child.get("TextValue") == identifier for child in item.ContentSequence)
    )


def number(item: Dataset, concept: str) -> Dataset:
    return next(one for one in item.ContentSequence if code(one) == concept)


def value(item: Dataset) -> tuple[float, str]:
    measured = item.MeasuredValueSequence[0]
    return float(measured.NumericValue), str(measured.MeasurementUnitsCodeSequence[0].CodeValue)


def test_the_report_read_from_disk_agrees_with_the_findings(report):
    report.verify()


def test_core_penumbra_and_prediction_are_groups_that_point_into_the_seg(report):
    for place, key in enumerate(("core", "penumbra", "predicted_infarct"), start=1):
        found = group(report.sr, key)
        reference = next(i for i in found.ContentSequence if name(i) == "Referenced Segment")
        assert reference.ReferencedSOPSequence[0].ReferencedSegmentNumber == place
        category = next(i for i in found.ContentSequence if name(i) == "Finding category")
        assert category.ConceptCodeSequence[0].CodeValue == "49755003"
        side = next(i for i in walk(found) if name(i) == "Laterality")
        assert side.ConceptCodeSequence[0].CodeMeaning == "Left"


def test_a_volume_carries_its_interval_and_what_that_rests_on(report):
    volume = number(group(report.sr, "predicted_infarct"), "118565006")

    assert value(volume) == (24.4, "mL")
    assert value(number(volume, "INTERVAL-LOW")) == (9.5, "mL")
    assert value(number(volume, "INTERVAL-HIGH")) == (41.25, "mL")
    basis = number(volume, "INTERVAL-BASIS").TextValue
    assert basis == "90% of cases lie inside; calibrated on simulated data"
    assert "ContentSequence" not in number(group(report.sr, "core"), "118565006")


def test_the_numbers_of_the_study_stand_in_a_group_of_their_own(report):
    study = group(report.sr, "study")

    assert value(number(study, "RCBF-30")) == (7.2, "mL")
    assert value(number(study, "TMAX-6"))[0] == pytest.approx(58.2)
    assert value(number(study, "MISMATCH-VOL")) == (51.0, "mL")
    assert value(number(study, "MISMATCH-RATIO"))[1] == "{ratio}"
    assert value(number(study, "HIR")) == (0.125, "{ratio}")
    assert value(number(study, "CBV-INDEX")) == (0.875, "{ratio}")
    assert value(number(study, "NOISE-HU")) == (0.375, "[hnsf'U]")


def test_the_largest_motion_is_told(report):
    motion = group(report.sr, "motion")

    assert value(number(motion, "MAX-TRANSLATION")) == (1.75, "mm")
    assert value(number(motion, "MAX-ROTATION")) == (0.5, "deg")


def test_a_vessel_has_its_bolus_and_a_point_in_the_patient(report, series):
    aif = group(report.sr, "aif")
    (point,) = (item for item in aif.ContentSequence if item.ValueType == "SCOORD3D")

    assert value(number(aif, "PEAK-HU")) == (280.0, "[hnsf'U]")
    assert value(number(aif, "ARRIVAL")) == (9.0, "s")
    assert point.GraphicType == "POINT"
    assert tuple(point.GraphicData) == AIF_LPS
    assert point.ReferencedFrameOfReferenceUID == series.headers[0].FrameOfReferenceUID
    assert number(aif, "VESSEL-CHOICE").TextValue == "Chosen automatically"
    assert number(group(report.sr, "vof"), "VESSEL-CHOICE").TextValue == "Chosen by hand"


def test_criteria_are_said_to_be_met_or_not_and_never_that_anybody_is_eligible(report):
    criteria = [
        i for i in walk(report.sr) if i.ValueType == "CODE" and code(i) == "TRIAL-CRITERION"
    ]

    assert [item.ConceptCodeSequence[0].CodeMeaning for item in criteria] == [
        "Criterion volumes met",
        "Criterion volumes not met",
        "Criterion volumes not assessable",
    ]
    assert criteria[0].ContentSequence[0].TextValue.startswith("DEFUSE 3 (core < 70 mL")
    assert not any("eligib" in str(item.get("TextValue", "")).lower() for item in walk(report.sr))


def test_the_maps_are_evidence_like_the_images(report):
    listed = {
        str(one.ReferencedSOPInstanceUID)
        for study in report.sr.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }

    assert {str(made.SOPInstanceUID) for made in report.maps} < listed


def test_a_zero_says_that_it_does_not_exclude_a_stroke(series, tmp_path):
    zero = report_of(series, infarct_analysis_without_lesion(series.image.stack), tmp_path / "sr")

    zero.verify()
    assert zero.seg is None
    for key in ("core", "penumbra", "predicted_infarct"):
        found = group(zero.sr, key)
        assert value(number(found, "118565006")) == (0.0, "mL")
        assert number(found, "NOTHING-FOUND").TextValue == NOTHING_FOUND
    assert "MISMATCH-RATIO" not in {code(i) for i in group(zero.sr, "study").ContentSequence}


def test_ready_maps_have_neither_vessels_nor_motion(series, tmp_path):
    analysis = infarct_analysis(series.image.stack, findings=infarct_findings(source="maps"))
    report = report_of(series, analysis, tmp_path / "sr")
    identifiers = {i.TextValue for i in walk(report.sr) if name(i) == "Tracking Identifier"}

    report.verify()
    assert identifiers == {"core", "penumbra", "predicted_infarct", "study"}


def test_without_a_frame_of_reference_a_position_stands_in_words(series, tmp_path):
    analysis = infarct_analysis(series.image.stack)
    headers = [deepcopy(header) for header in series.headers]
    for header in headers:
        del header.FrameOfReferenceUID
    made = write_sr(analysis, headers, None, EQUIPMENT, created=CREATED)
    made.save_as(tmp_path / "sr", enforce_file_format=True)
    sr = dcmread(tmp_path / "sr")

    verify_sr(sr, analysis.findings, headers, None)
    assert number(group(sr, "aif"), "VESSEL-POSITION").TextValue.startswith("x -24.0 mm, y -12.0")


def _move_the_artery(sr: Dataset) -> None:
    point = next(i for i in group(sr, "aif").ContentSequence if i.ValueType == "SCOORD3D")
    point.GraphicData = [24.0, -12.0, -6.0]


def _widen_the_interval(sr: Dataset) -> None:
    volume = number(group(sr, "predicted_infarct"), "118565006")
    number(volume, "INTERVAL-HIGH").MeasuredValueSequence[0].NumericValue = "99"


def _drop_the_basis(sr: Dataset) -> None:
    volume = number(group(sr, "predicted_infarct"), "118565006")
    volume.ContentSequence = [i for i in volume.ContentSequence if code(i) != "INTERVAL-BASIS"]


def _change_a_volume(sr: Dataset) -> None:
    number(group(sr, "study"), "TMAX-6").MeasuredValueSequence[0].NumericValue = "1"


def _meet_every_criterion(sr: Dataset) -> None:
    for item in walk(sr):
        if item.ValueType == "CODE" and code(item) == "TRIAL-CRITERION":
            item.ConceptCodeSequence[0].CodeValue = "CRIT-MET"


def _find_nothing(sr: Dataset) -> None:
    item = deepcopy(number(group(sr, "vof"), "VESSEL-CHOICE"))
    item.ConceptNameCodeSequence[0].CodeValue = "NOTHING-FOUND"
    item.TextValue = NOTHING_FOUND
    group(sr, "core").ContentSequence.append(item)


def _drop_the_vein(sr: Dataset) -> None:
    vein = group(sr, "vof")
    for item in walk(sr):
        if vein in item.get("ContentSequence", ()):
            item.ContentSequence = [i for i in item.ContentSequence if i is not vein]
            return


@pytest.mark.parametrize(
    "edit",
    [
        _move_the_artery,
        _widen_the_interval,
        _drop_the_basis,
        _change_a_volume,
        _meet_every_criterion,
        _find_nothing,
        _drop_the_vein,
    ],
)
def test_a_report_that_says_something_else_does_not_leave(report, edit: Callable[[Dataset], None]):
    changed = deepcopy(report.sr)
    edit(changed)

    with pytest.raises(RoundTripMismatch):
        report.verify(changed)
