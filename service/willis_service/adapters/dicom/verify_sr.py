"""Proof that a written SR says what the findings in memory say, before it leaves.

The content tree is walked as it lies in the file, without the library that wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydicom import Dataset

from willis_models.codes import CRITERION, CRITERION_OUTCOMES, REJECTION, reason
from willis_models.errors import RoundTripMismatch
from willis_models.findings import Findings
from willis_service.adapters.dicom.result_headers import plain_text
from willis_service.adapters.dicom.sr_evaluations import criterion_text
from willis_service.adapters.dicom.sr_perfusion import (
    MOTION_KEY,
    STUDY_KEY,
    motion_numbers,
    vessels_of,
)
from willis_service.adapters.dicom.sr_tree import coded_value, identifier, named, texts, value, walk
from willis_service.adapters.dicom.verify_sr_groups import (
    check_numbers,
    check_score,
    check_segment,
    check_vessel,
)

_MEASUREMENT_GROUP = "125007"


def verify_sr(
    sr: Dataset,
    findings: Findings,
    headers: Sequence[Dataset],
    seg: Dataset | None,
    predecessor: Dataset | None = None,
    maps: Sequence[Dataset] = (),
) -> None:
    """Raise RoundTripMismatch unless the SR, read again from disk, agrees with ``findings``.

    Every number, state, side, position, criterion and reference is there, and nothing beside them;
    a rejected study has its reason and no number at all. An amendment says so and names its
    ``predecessor``.
    """
    _check_evidence(sr, headers, [*([] if seg is None else [seg]), *maps])
    _check_predecessor(sr, predecessor)
    said = set(texts(sr))
    if plain_text(findings.intended_use) not in said:
        raise RoundTripMismatch("The SR lacks the intended-use statement.")
    if findings.amends is not None and plain_text(findings.amends.text) not in said:
        raise RoundTripMismatch("The SR does not say that it amends an earlier result.")
    if findings.rejection is not None:
        _check_rejection(sr, findings.rejection.code)
        return
    _check_criteria(sr, findings)
    _check_groups(sr, findings, headers[0], seg)


def _check_groups(sr: Dataset, findings: Findings, source: Dataset, seg: Dataset | None) -> None:
    groups = {identifier(item): item for item in walk(sr) if named(item, _MEASUREMENT_GROUP)}
    scores = {f"{score.side}_aspects_score": score for score in findings.scores}
    segments = {segment.key: segment for segment in findings.segments}
    motion = findings.perfusion.motion if findings.perfusion is not None else None
    numbers = {STUDY_KEY: findings.measurements} if findings.measurements else {}
    numbers |= {MOTION_KEY: motion_numbers(motion)} if motion is not None else {}
    vessels = {curve.name: curve for curve in vessels_of(findings.perfusion)}
    if groups.keys() != scores.keys() | segments.keys() | numbers.keys() | vessels.keys():
        raise RoundTripMismatch("The SR has other measurement groups than the findings.")
    for key, score in scores.items():
        check_score(groups[key], score)
    for key, segment in segments.items():
        check_segment(groups[key], segment, seg)
    for key, measurements in numbers.items():
        check_numbers(groups[key], measurements)
    for key, curve in vessels.items():
        check_vessel(groups[key], curve, source)


def _check_criteria(sr: Dataset, findings: Findings) -> None:
    written = [
        (value(item.ConceptCodeSequence), texts(item))
        for item in walk(sr)
        if item.get("ValueType") == "CODE" and named(item, CRITERION.value)
    ]
    criteria = findings.perfusion.criteria if findings.perfusion is not None else ()
    if written != [
        (CRITERION_OUTCOMES[one.outcome].value, [plain_text(criterion_text(one))])
        for one in criteria
    ]:
        raise RoundTripMismatch("The SR has other criteria than the findings.")


def _check_evidence(sr: Dataset, headers: Sequence[Dataset], results: Sequence[Dataset]) -> None:
    written = {
        (str(instance.ReferencedSOPClassUID), str(instance.ReferencedSOPInstanceUID))
        for study in sr.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    expected = {(str(i.SOPClassUID), str(i.SOPInstanceUID)) for i in (*headers, *results)}
    if written != expected:
        raise RoundTripMismatch("The SR's evidence is not the images that were analysed.")
    if sr.StudyInstanceUID != headers[0].StudyInstanceUID:
        raise RoundTripMismatch("The SR lies in another study than its source.")


def _check_predecessor(sr: Dataset, predecessor: Dataset | None) -> None:
    written = [
        (str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID))
        for study in sr.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ]
    known = () if predecessor is None else (predecessor,)
    if written != [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in known]:
        raise RoundTripMismatch("The SR names another predecessor than the result that it amends.")
    if any(one.SOPInstanceUID == sr.SOPInstanceUID for one in known):
        raise RoundTripMismatch("The SR has the UID of the result that it amends.")


def _check_rejection(sr: Dataset, code: str) -> None:
    if any(item.get("ValueType") == "NUM" for item in walk(sr)):
        raise RoundTripMismatch("The SR of a rejected study holds a number.")
    if coded_value(sr, REJECTION.value) != reason(code).value:
        raise RoundTripMismatch("The SR does not say why the study was rejected.")
