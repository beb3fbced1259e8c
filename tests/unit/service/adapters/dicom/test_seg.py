"""The segmentation object: what it says, and where it says it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.aspects_findings import MODEL, aspects_analysis, aspects_findings, rejected_findings
from tests.infarct_findings import (
    infarct_analysis,
    infarct_analysis_without_lesion,
    infarct_findings,
    lesion_layers,
)
from tests.plain_series import plain_series
from tests.synthetic_ct import write_ct_series
from willis_models.errors import ResultError
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.pipelines.base import Analysis, InputImage
from willis_models.volume import SliceStack
from willis_service.adapters.dicom.layers import layers_of
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import segments_with_frames, write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.verify import verify_seg

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)


def _seg(series: DicomSeries, **changes: Any) -> Dataset:
    analysis = replace(aspects_analysis(series.image.stack), **changes)
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    return seg


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> DicomSeries:
    return plain_series(write_ct_series(tmp_path_factory.mktemp("ct"), tilt_deg=12.0))


@pytest.fixture(scope="module")
def seg(series: DicomSeries) -> Dataset:
    return _seg(series)


def test_each_region_is_one_segment_with_coded_structure_and_side(seg: Dataset) -> None:
    first, right_m2 = seg.SegmentSequence[0], seg.SegmentSequence[15]

    assert [item.SegmentNumber for item in seg.SegmentSequence] == list(range(1, 21))
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "11000004"
    modifier = first.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert modifier.CodeMeaning == "Left"
    structure = right_m2.SegmentedPropertyTypeCodeSequence[0]
    assert (structure.CodeValue, structure.CodingSchemeDesignator) == ("ASPECTS-M2", "99WILLIS")
    assert structure.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Right"


def test_left_segments_lie_on_the_patients_left(seg: Dataset) -> None:
    """DICOM LPS: +x is patient left; taken from the object itself."""
    cosines = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    spacing = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    step_x = float(cosines.ImageOrientationPatient[0]) * float(spacing[1])
    for mask, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True):
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        origin_x = float(group.PlanePositionSequence[0].ImagePositionPatient[0])
        mean_x = origin_x + np.nonzero(mask)[1].mean() * step_x
        assert (mean_x > 0) == (number <= 10)


def test_the_algorithm_is_named_with_version_and_digest(seg: Dataset) -> None:
    algorithm = seg.SegmentSequence[4].SegmentationAlgorithmIdentificationSequence[0]

    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (MODEL.name, MODEL.version)
    assert algorithm.AlgorithmParameters == f"weights_sha256={MODEL.weights_sha256}"


def test_it_lies_in_the_sources_study_and_frame_of_reference(
    seg: Dataset, series: DicomSeries
) -> None:
    source = series.headers[0]

    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert seg[keyword].value == source[keyword].value
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    (referenced,) = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert len(referenced.ReferencedInstanceSequence) == len(series.headers)


def test_it_says_that_it_is_for_research_only(seg: Dataset) -> None:
    assert seg.ContentQualification == "RESEARCH"
    assert "research use only" in seg.SeriesDescription.lower()
    assert "research use only" in seg.ContentDescription.lower()
    assert all(INTENDED_USE_STATEMENT in item.SegmentDescription for item in seg.SegmentSequence)
    assert len(seg.ContentDescription) <= 64


def test_a_rerun_gives_the_same_object_identity(seg: Dataset, series: DicomSeries) -> None:
    again = _seg(series)

    assert again.SOPInstanceUID == seg.SOPInstanceUID
    assert again.SeriesInstanceUID == seg.SeriesInstanceUID
    assert again.SeriesNumber == seg.SeriesNumber == 201
    assert again.DimensionOrganizationSequence == seg.DimensionOrganizationSequence
    assert again.SegmentSequence == seg.SegmentSequence


def test_another_model_gives_another_identity(seg: Dataset, series: DicomSeries) -> None:
    model = MODEL.model_copy(update={"weights_sha256": "cd" * 32})
    other = _seg(series, findings=aspects_findings().model_copy(update={"model": model}))

    assert other.SOPInstanceUID != seg.SOPInstanceUID
    assert other.SeriesInstanceUID != seg.SeriesInstanceUID


def test_the_sources_equipment_stays_and_ours_is_appended(tmp_path: Path) -> None:
    def add_equipment(_k: int, dataset: Dataset) -> None:
        item = Dataset()
        item.Manufacturer = "Dose Reducer"
        dataset.ContributingEquipmentSequence = [item]

    series = plain_series(write_ct_series(tmp_path, edit=add_equipment))
    equipment = _seg(series).ContributingEquipmentSequence
    makers = [item.Manufacturer for item in equipment]
    ours = equipment[makers.index("Willis")]

    assert makers[0] == "Dose Reducer"
    assert ours.DeviceSerialNumber == "site-7"
    assert ours.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert len(series.headers[0].ContributingEquipmentSequence) == 1


@pytest.fixture
def site_in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("site_in_new_york")
@pytest.mark.parametrize(
    ("offset", "written", "date", "hour"),
    [("+0900", "+0900", "20260305", "07"), (None, "-0500", "20260304", "17")],
)
def test_times_are_written_in_the_sources_zone_or_else_the_sites(
    tmp_path: Path, offset: str | None, written: str, date: str, hour: str
) -> None:
    overrides = {"TimezoneOffsetFromUTC": offset}
    seg = _seg(plain_series(write_ct_series(tmp_path, overrides=overrides)))

    assert seg.TimezoneOffsetFromUTC == written
    assert (str(seg.ContentDate), str(seg.ContentTime)[:2]) == (date, hour)


def test_a_structure_without_a_voxel_keeps_its_number_and_says_so(series: DicomSeries) -> None:
    analysis = aspects_analysis(series.image.stack)
    assert analysis.labels is not None
    labels = np.where(analysis.labels == 7, 0, analysis.labels).astype(np.uint8)
    seg = _seg(series, labels=labels)

    assert len(seg.SegmentSequence) == 20
    assert segments_with_frames(seg) == frozenset(range(1, 21)) - {7}
    assert "No voxel" in seg.SegmentSequence[6].SegmentDescription
    assert "No voxel" not in seg.SegmentSequence[5].SegmentDescription


def test_a_label_map_without_any_voxel_gives_no_seg(series: DicomSeries) -> None:
    empty = np.zeros(series.image.stack.shape, np.uint8)
    analysis = Analysis(aspects_findings(affected=()), empty, "ncct")

    assert write_seg(analysis, series, EQUIPMENT, created=CREATED) is None


def test_a_rejected_study_has_no_seg(series: DicomSeries) -> None:
    with pytest.raises(ResultError):
        write_seg(Analysis(rejected_findings()), series, EQUIPMENT, created=CREATED)


def test_empty_frames_are_left_out(seg: Dataset, series: DicomSeries) -> None:
    labels = aspects_analysis(series.image.stack).labels
    assert labels is not None
    occupied = sum(
        bool((labels[k] == number).any()) for k in range(len(labels)) for number in range(1, 21)
    )

    assert seg.NumberOfFrames == occupied < 20 * len(labels)


def test_headers_as_scanners_write_them_are_taken_over_unjudged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    overrides = {
        "PatientName": "Müller",
        "PatientSex": None,
        "PatientBirthDate": None,
        "AccessionNumber": None,
        "StudyID": None,
        "SeriesNumber": None,
    }
    series = plain_series(write_ct_series(tmp_path / "ct", overrides=overrides))
    with caplog.at_level(logging.DEBUG):
        _seg(series).save_as(tmp_path / "seg.dcm")
    again = dcmread(tmp_path / "seg.dcm")

    assert str(again.PatientName) == "Müller"
    assert again.PatientSex is None or again.PatientSex == ""
    assert "Müller" not in caplog.text
    assert "AccessionNumber" not in series.headers[0]


@pytest.mark.parametrize("where", ["shared", "per frame"])
def test_an_enhanced_source_is_referred_to_frame_by_frame(tmp_path: Path, where: str) -> None:
    def move_to_frames(_k: int, dataset: Dataset) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
            frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
        if where == "per frame":
            del shared.PlaneOrientationSequence, shared.PixelMeasuresSequence

    paths = write_ct_series(tmp_path, enhanced=True)
    dataset = dcmread(paths[0])
    move_to_frames(0, dataset)
    series = plain_series(write_ct_series(tmp_path / "again", enhanced=True))
    edited = Dataset()
    edited.update({element.tag: element for element in dataset if element.keyword != "PixelData"})
    seg = _seg(replace(series, headers=(edited,)))

    frames = {
        int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for group in seg.PerFrameFunctionalGroupsSequence
    }
    assert series.frame_numbers is not None
    assert frames < set(series.frame_numbers)


def _of_infarct(series: DicomSeries, analysis: Analysis | None = None) -> Dataset:
    seg = write_seg(
        analysis or infarct_analysis(series.image.stack), series, EQUIPMENT, created=CREATED
    )
    assert seg is not None
    return seg


def _voxels(seg: Dataset, number: int) -> int:
    return sum(
        int(mask.sum())
        for mask, group in zip(seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True)
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    )


def test_a_prediction_may_lie_over_what_was_measured(series: DicomSeries) -> None:
    seg = _of_infarct(series)
    labels, predicted = lesion_layers(series.image.stack)

    assert seg.SegmentsOverlap == "YES"
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [
        "Infarct core (rCBF < 30%)",
        "Penumbra (Tmax > 6 s)",
        "Predicted infarct",
    ]
    assert [_voxels(seg, number) for number in (1, 2, 3)] == [
        int((labels == 1).sum()),
        int((labels == 2).sum()),
        int((predicted == 3).sum()),
    ]


def test_a_lesion_is_something_abnormal_and_lies_on_its_side(series: DicomSeries) -> None:
    for item in _of_infarct(series).SegmentSequence:
        category = item.SegmentedPropertyCategoryCodeSequence[0]
        assert category.CodeMeaning == "Morphologically abnormal structure"
        (side,) = item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence
        assert side.CodeMeaning == "Left"


def test_a_core_of_nothing_keeps_its_segment_beside_a_penumbra(series: DicomSeries) -> None:
    labels, predicted = lesion_layers(series.image.stack)
    seg = _of_infarct(
        series,
        Analysis(
            infarct_findings(core_ml=0.0),
            np.where(labels == 1, 2, labels).astype(np.uint8),
            "ctp",
            overlays=(predicted,),
        ),
    )

    assert segments_with_frames(seg) == {2, 3}
    assert "No voxel" in seg.SegmentSequence[0].SegmentDescription


def test_a_study_without_any_lesion_has_no_seg(series: DicomSeries) -> None:
    analysis = infarct_analysis_without_lesion(series.image.stack)

    assert write_seg(analysis, series, EQUIPMENT, created=CREATED) is None


def test_a_segment_in_two_layers_is_a_mistake(series: DicomSeries) -> None:
    analysis = infarct_analysis(series.image.stack)
    assert analysis.labels is not None

    with pytest.raises(ResultError, match="same segment"):
        _of_infarct(series, replace(analysis, overlays=(analysis.labels,)))


def test_of_an_object_with_every_time_point_only_the_analysed_frames_are_named(
    tmp_path: Path,
) -> None:
    """As of an enhanced perfusion scan, of which one time point stands for all."""
    series = plain_series(write_ct_series(tmp_path, enhanced=True))
    assert series.frame_numbers is not None
    half = series.image.stack.shape[0] // 2
    stack = series.image.stack
    part = replace(
        series,
        image=InputImage(
            SliceStack(
                stack.voxels[half:],
                stack.origins_lps[half:],
                stack.row_step_lps,
                stack.column_step_lps,
            )
        ),
        frame_numbers=series.frame_numbers[half:],
    )
    analysis = infarct_analysis(part.image.stack)
    seg = _of_infarct(part, analysis)

    verify_seg(seg, analysis.findings.segments, layers_of(analysis), part)
    named = {
        int(group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for group in seg.PerFrameFunctionalGroupsSequence
    }
    assert named <= set(part.frame_numbers)
