"""The structured report: scores, regions, evidence, and what a rejected study may say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.aspects_findings import (
    MODEL,
    aspects_analysis,
    aspects_findings,
    rejected_findings,
)
from tests.plain_series import plain_series
from tests.synthetic_ct import write_ct_series
from willis_models.findings import INTENDED_USE_STATEMENT, Amendment, Findings
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> DicomSeries:
    return plain_series(write_ct_series(tmp_path_factory.mktemp("ct")))


def _results(series: DicomSeries, findings: Findings | None = None) -> tuple[Dataset, Dataset]:
    analysis = aspects_analysis(series.image.stack, findings)
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    return seg, write_sr(analysis, series.headers, seg, EQUIPMENT, created=CREATED)


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _walk(child)


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def _group(sr: Dataset, identifier: str) -> Dataset:
    return next(
        item
        for item in _walk(sr)
        if _name(item) == "Measurement Group"
        and any(child.get("TextValue") == identifier for child in item.ContentSequence)
    )


def _number(group: Dataset, code: str) -> tuple[float, str]:
    value = next(
        item.MeasuredValueSequence[0]
        for item in group.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == code
    )
    return float(value.NumericValue), str(value.MeasurementUnitsCodeSequence[0].CodeValue)


def _code(group: Dataset, name: str) -> str:
    item = next(item for item in _walk(group) if _name(item) == name)
    return str(item.ConceptCodeSequence[0].CodeMeaning)


def test_each_side_has_its_score_and_range(series: DicomSeries) -> None:
    _, sr = _results(series)
    left, right = _group(sr, "left_aspects_score"), _group(sr, "right_aspects_score")

    assert _number(left, "ASPECTS") == (8.0, "{score}")
    assert _number(left, "ASPECTS-LOWEST")[0] == 7.0
    assert _number(right, "ASPECTS")[0] == 10.0
    assert _number(right, "ASPECTS-LOWEST")[0] == 9.0
    assert (_code(left, "Laterality"), _code(right, "Laterality")) == ("Left", "Right")


def test_a_region_carries_its_state_and_evidence_and_points_to_its_segment(
    series: DicomSeries,
) -> None:
    seg, sr = _results(series)
    group = _group(sr, "left_M2")

    assert _code(group, "Finding Site") == "ASPECTS region M2, MCA cortex lateral to insula"
    assert _code(group, "Laterality") == "Left"
    assert _code(group, "State of the ASPECTS region") == "Early ischaemic change"
    assert _code(group, "State by the deterministic asymmetry rule") == "Early ischaemic change"
    assert _number(group, "MEAN-HU") == (27.25, "[hnsf'U]")
    assert _number(group, "DIFF-HU") == (4.25, "[hnsf'U]")
    assert _number(group, "118565006")[1] == "mL"
    reference = next(i for i in group.ContentSequence if _name(i) == "Referenced Segment")
    assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID
    assert reference.ReferencedSOPSequence[0].ReferencedSegmentNumber == 6


def test_region_and_segment_share_one_tracking_uid(series: DicomSeries) -> None:
    seg, sr = _results(series)
    tracked = {item.TrackingID: item.TrackingUID for item in seg.SegmentSequence}

    assert len(set(tracked.values())) == 20
    for key, uid in tracked.items():
        assert any(item.get("UID") == uid for item in _group(sr, key).ContentSequence)


def test_a_region_that_could_not_be_assessed_says_why_and_gives_no_density(
    series: DicomSeries,
) -> None:
    _, sr = _results(series)
    group = _group(sr, "right_C")
    concepts = {item.ConceptNameCodeSequence[0].CodeValue for item in group.ContentSequence}
    texts = [item.get("TextValue") for item in group.ContentSequence]

    assert _code(group, "State of the ASPECTS region") == "Not assessable"
    assert "Too few voxels counted." in texts
    assert not concepts & {"MEAN-HU", "DIFF-HU", "HU-RATIO", "ISCH-PROB"}


def test_a_score_that_could_not_be_given_is_coded_and_not_zero(series: DicomSeries) -> None:
    findings = aspects_findings()
    blank = {"score": None, "lowest": None, "highest": None}
    scores = tuple(score.model_copy(update=blank) for score in findings.scores)
    _, sr = _results(series, findings.model_copy(update={"scores": scores}))
    group = _group(sr, "left_aspects_score")

    assert not any(item.ValueType == "NUM" for item in group.ContentSequence)
    assert _code(group, "Whether the score could be given") == "Not assessable"


def test_flags_scheme_and_statement_are_there(series: DicomSeries) -> None:
    _, sr = _results(series)

    assert (sr.CompletionFlag, sr.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert (sr.PreliminaryFlag, sr.ContentQualification) == ("PRELIMINARY", "RESEARCH")
    assert sr.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99WILLIS"
    assert INTENDED_USE_STATEMENT in [item.get("TextValue") for item in _walk(sr)]
    assert sr.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_the_model_is_named_as_the_observing_device_and_by_digest(series: DicomSeries) -> None:
    _, sr = _results(series)
    texts = {_name(item): item.get("TextValue") for item in _walk(sr)}

    assert texts["Device Observer Name"] == f"{MODEL.name} {MODEL.version}"
    assert texts["Device Observer Serial Number"] == "site-7"
    assert texts["Algorithm Parameters"] == f"weights_sha256 {MODEL.weights_sha256}"


def test_quality_items_side_and_limits_are_there(series: DicomSeries) -> None:
    _, sr = _results(series)
    evaluations = next(item for item in _walk(sr) if _name(item) == "Qualitative Evaluations")
    quality = [item for item in evaluations.ContentSequence if _name(item) == "Quality item"]

    assert _code(evaluations, "How the scored side was chosen") == "Left"
    assert [_code(item, "Outcome of the quality item") for item in quality] == [
        "Passed",
        "Passed with a warning",
    ]
    assert quality[1].ContentSequence[1].TextValue == "A gantry tilt of 18.5 deg was corrected."
    assert "Known limit of the model" in {_name(item) for item in evaluations.ContentSequence}


def test_the_evidence_is_every_source_image_and_the_seg(series: DicomSeries) -> None:
    seg, sr = _results(series)
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    referenced = {
        instance.ReferencedSOPInstanceUID
        for one in study.ReferencedSeriesSequence
        for instance in one.ReferencedSOPSequence
    }

    assert study.StudyInstanceUID == series.study_instance_uid
    assert referenced == {h.SOPInstanceUID for h in series.headers} | {seg.SOPInstanceUID}


def test_a_rejected_study_gets_its_reason_and_no_number(series: DicomSeries) -> None:
    message = "No plausible brain was found inside the skull."
    analysis = Analysis(rejected_findings("BRAIN_NOT_PLAUSIBLE", message))
    sr = write_sr(analysis, series.headers[:1], None, EQUIPMENT, created=CREATED)
    rejection = next(item for item in _walk(sr) if _name(item).startswith("Reason why"))

    assert rejection.ConceptCodeSequence[0].LongCodeValue == "BRAIN_NOT_PLAUSIBLE"
    assert rejection.ContentSequence[0].TextValue == message
    assert not any(item.ValueType == "NUM" for item in _walk(sr))
    assert sr.CompletionFlag == "PARTIAL"
    assert sr.CompletionFlagDescription == "Not analysed: BRAIN_NOT_PLAUSIBLE"
    assert sr.StudyInstanceUID == series.study_instance_uid


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.88.67", "1.2.3.4.5.6.7"])
def test_a_study_without_any_image_can_be_rejected(series: DicomSeries, sop_class: str) -> None:
    header = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"):
        header[keyword] = series.headers[0][keyword]
    header.SOPClassUID = sop_class
    analysis = Analysis(rejected_findings("NO_SUITABLE_SERIES").model_copy(update={"model": None}))
    sr = write_sr(analysis, [header], None, EQUIPMENT, created=CREATED)

    assert sr.PatientID == series.headers[0].PatientID
    assert sr.StudyInstanceUID == series.study_instance_uid
    assert header.SOPClassUID == sop_class


AMENDS = Amendment(job_id="job-1", status="succeeded", scores=aspects_findings().scores)


def _amended(
    series: DicomSeries, first: Dataset, headers: Sequence[Dataset], amends: Amendment = AMENDS
) -> tuple[Dataset, Dataset]:
    findings = aspects_findings().model_copy(update={"amends": amends})
    analysis = aspects_analysis(series.image.stack, findings)
    given: dict[str, Any] = {"created": CREATED, "predecessor": first}
    seg = write_seg(analysis, series, EQUIPMENT, **given)
    assert seg is not None
    return seg, write_sr(analysis, headers, seg, EQUIPMENT, **given)


def test_an_amendment_names_its_predecessor(series: DicomSeries) -> None:
    _, first = _results(series)
    _, amended = _amended(series, first, series.headers[:-1])
    (study,) = amended.PredecessorDocumentsSequence
    (document_series,) = study.ReferencedSeriesSequence
    (document,) = document_series.ReferencedSOPSequence

    assert study.StudyInstanceUID == first.StudyInstanceUID
    assert document_series.SeriesInstanceUID == first.SeriesInstanceUID
    assert document.ReferencedSOPClassUID == first.SOPClassUID
    assert document.ReferencedSOPInstanceUID == first.SOPInstanceUID


def test_an_amendment_says_so_and_what_the_earlier_result_was(series: DicomSeries) -> None:
    _, first = _results(series)
    _, amended = _amended(series, first, series.headers)
    said = {_name(item): item.get("TextValue") for item in _walk(amended)}

    assert said["Amended result"] == (
        "Amended result: it replaces an earlier one, which gave the score left 8, right 10."
    )
    assert "Amended result" not in {_name(item) for item in _walk(first)}


@pytest.mark.parametrize(
    ("amends", "said"),
    [
        ({"status": "failed"}, "which said that the study could not be analysed."),
        ({"status": "rejected"}, "which did not analyse the study."),
        ({"status": "succeeded"}, "which gave no score."),
        (
            {"status": "succeeded", "volumes_ml": {"core": 7.25, "predicted_infarct": 0.0}},
            "which gave core 7.2 mL, predicted infarct 0.0 mL.",
        ),
    ],
)
def test_an_amendment_says_what_a_result_without_a_score_gave(
    amends: dict[str, Any], said: str
) -> None:
    assert Amendment(job_id="job-1", **amends).text.endswith(said)


def test_an_amendment_of_the_same_images_is_another_object_and_recognisable(
    series: DicomSeries,
) -> None:
    first_seg, first = _results(series)
    seg, amended = _amended(series, first, series.headers)
    again_seg, again = _amended(series, first, series.headers)

    for before, after in ((first, amended), (first_seg, seg)):
        assert after.SOPInstanceUID != before.SOPInstanceUID
        assert after.SeriesInstanceUID != before.SeriesInstanceUID
        assert (after.SeriesNumber, after.InstanceNumber) == (before.SeriesNumber, 2)
    assert (again.SOPInstanceUID, again_seg.SOPInstanceUID) == (
        amended.SOPInstanceUID,
        seg.SOPInstanceUID,
    )


def test_a_notice_and_the_result_that_follows_it_are_two_objects(series: DicomSeries) -> None:
    reasons = ("WORKER_LOST", "NO_RESULT_IN_TIME")
    notices = [
        write_sr(
            Analysis(rejected_findings(reason).model_copy(update={"status": "failed"})),
            series.headers,
            None,
            EQUIPMENT,
            created=CREATED,
        )
        for reason in reasons
    ]
    _, result = _results(series)

    assert len({sr.SOPInstanceUID for sr in (*notices, result)}) == 3


def test_a_region_without_a_voxel_points_to_no_segment(series: DicomSeries) -> None:
    analysis = aspects_analysis(series.image.stack)
    assert analysis.labels is not None
    labels = np.where(analysis.labels == 6, 0, analysis.labels).astype(np.uint8)
    analysis = Analysis(analysis.findings, labels, "ncct")
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    sr = write_sr(analysis, series.headers, seg, EQUIPMENT, created=CREATED)

    names = {_name(item) for item in _group(sr, "left_M2").ContentSequence}
    assert "Referenced Segment" not in names
    assert "Referenced Segment" in {_name(i) for i in _group(sr, "left_M1").ContentSequence}


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_survive_in_every_character_set(
    tmp_path: Path, charset: str | list[str], name: str
) -> None:
    overrides = {"SpecificCharacterSet": charset, "PatientName": name}
    series = plain_series(write_ct_series(tmp_path / "ct", shape=(12, 32, 32), overrides=overrides))
    _, sr = _results(series)
    sr.save_as(tmp_path / "sr.dcm")

    assert str(dcmread(tmp_path / "sr.dcm").PatientName) == name
