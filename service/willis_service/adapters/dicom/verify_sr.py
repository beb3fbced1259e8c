"""Proof that a written SR says what the findings in memory say, before it leaves.

The content tree is walked as it lies in the file, without the library that wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from pydicom import Dataset

from willis_models.codes import (
    LATERALITY,
    MEASUREMENTS,
    REGION_STATE,
    REJECTION,
    RULE_STATE,
    STATES,
    Laterality,
    reason,
)
from willis_models.errors import RoundTripMismatch
from willis_models.findings import Findings, SegmentFinding, SideScore, State
from willis_service.adapters.dicom.result_headers import plain_text
from willis_service.adapters.dicom.seg import segments_with_frames

_MEASUREMENT_GROUP = "125007"
_TRACKING_IDENTIFIER = "112039"
_REFERENCED_SEGMENT = "121191"
_FINDING_SITE = "363698007"
_LATERALITY = "272741003"
_RELATIVE_TOLERANCE = 1e-6


def verify_sr(
    sr: Dataset,
    findings: Findings,
    headers: Sequence[Dataset],
    seg: Dataset | None,
    predecessor: Dataset | None = None,
) -> None:
    """Raise RoundTripMismatch unless the SR, read again from disk, agrees with ``findings``.

    Every number, state, side and reference is there, and nothing beside them; a rejected study
    has its reason and no number at all. An amendment says so and names its ``predecessor``.
    """
    _check_evidence(sr, headers, seg)
    _check_predecessor(sr, predecessor)
    texts = {str(item.TextValue) for item in _walk(sr) if item.get("ValueType") == "TEXT"}
    if plain_text(findings.intended_use) not in texts:
        raise RoundTripMismatch("The SR lacks the intended-use statement.")
    if findings.amends is not None and plain_text(findings.amends.text) not in texts:
        raise RoundTripMismatch("The SR does not say that it amends an earlier result.")
    if findings.rejection is not None:
        _check_rejection(sr, findings.rejection.code)
        return
    groups = {_identifier(item): item for item in _walk(sr) if _named(item, _MEASUREMENT_GROUP)}
    scores = {f"{score.side}_aspects_score": score for score in findings.scores}
    regions = {segment.key: segment for segment in findings.segments}
    if groups.keys() != scores.keys() | regions.keys():
        raise RoundTripMismatch("The SR has other measurement groups than the findings.")
    for key, score in scores.items():
        _check_score(groups[key], score)
    for key, segment in regions.items():
        _check_region(groups[key], segment, seg)


def _walk(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _walk(child)


def _value(code_sequence: Sequence[Dataset]) -> str:
    item = code_sequence[0]
    return str(item.get("CodeValue") or item.get("LongCodeValue"))


def _named(item: Dataset, concept: str) -> bool:
    return "ConceptNameCodeSequence" in item and _value(item.ConceptNameCodeSequence) == concept


def _coded_value(group: Dataset, concept: str) -> str | None:
    found = [item for item in _walk(group) if _named(item, concept)]
    return _value(found[0].ConceptCodeSequence) if found else None


def _identifier(group: Dataset) -> str:
    return next(str(i.TextValue) for i in group.ContentSequence if _named(i, _TRACKING_IDENTIFIER))


def _numbers(group: Dataset) -> dict[str, tuple[float, str]]:
    """Value and unit by the concept's code."""
    return {
        _value(item.ConceptNameCodeSequence): (
            float(item.MeasuredValueSequence[0].NumericValue),
            _value(item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence),
        )
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }


def _check_numbers(group: Dataset, expected: Mapping[str, tuple[float | None, str]]) -> None:
    written = _numbers(group)
    known = {MEASUREMENTS[k].value: (v, unit) for k, (v, unit) in expected.items() if v is not None}
    if written.keys() != known.keys():
        raise RoundTripMismatch(f"The SR has other measurements of {_identifier(group)}.")
    for concept, (value, unit) in known.items():
        number, written_unit = written[concept]
        is_same = math.isclose(number, value, rel_tol=_RELATIVE_TOLERANCE, abs_tol=1e-9)
        if not is_same or written_unit != unit:
            raise RoundTripMismatch(f"The SR has another {concept} of {_identifier(group)}.")


def _check_score(group: Dataset, score: SideScore) -> None:
    _check_side(group, score.side)
    values = {
        "aspects_score": score.score,
        "aspects_lowest": score.lowest,
        "aspects_highest": score.highest,
    }
    _check_numbers(group, {key: (value, "{score}") for key, value in values.items()})


def _check_region(group: Dataset, segment: SegmentFinding, seg: Dataset | None) -> None:
    _check_side(group, segment.laterality)
    _check_numbers(group, {m.key: (m.value, m.unit) for m in segment.measurements})
    if _coded_value(group, _FINDING_SITE) != segment.structure_value:
        raise RoundTripMismatch(f"The SR places {segment.key} in another structure.")
    _check_state(group, REGION_STATE.value, segment.state)
    _check_state(group, RULE_STATE.value, segment.rule_state)
    _check_segment_reference(group, segment, seg)


def _check_state(group: Dataset, concept: str, state: State | None) -> None:
    expected = None if state is None else STATES[state].value
    if _coded_value(group, concept) != expected:
        raise RoundTripMismatch(f"The SR has another state of {_identifier(group)}.")


def _check_side(group: Dataset, side: Laterality | None) -> None:
    expected = None if side is None else LATERALITY[side].value
    if _coded_value(group, _LATERALITY) != expected:
        raise RoundTripMismatch(f"The SR places {_identifier(group)} on another side.")


def _check_segment_reference(group: Dataset, segment: SegmentFinding, seg: Dataset | None) -> None:
    references = [
        (str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber))
        for item in group.ContentSequence
        if _named(item, _REFERENCED_SEGMENT)
        for reference in item.ReferencedSOPSequence
    ]
    has_frames = seg is not None and segment.number in segments_with_frames(seg)
    expected = [(str(seg.SOPInstanceUID), segment.number)] if seg and has_frames else []
    if references != expected:
        raise RoundTripMismatch(f"The SR links {segment.key} to another segment.")


def _check_evidence(sr: Dataset, headers: Sequence[Dataset], seg: Dataset | None) -> None:
    written = {
        (str(instance.ReferencedSOPClassUID), str(instance.ReferencedSOPInstanceUID))
        for study in sr.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    results = [] if seg is None else [seg]
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
    if any(item.get("ValueType") == "NUM" for item in _walk(sr)):
        raise RoundTripMismatch("The SR of a rejected study holds a number.")
    if _coded_value(sr, REJECTION.value) != reason(code).value:
        raise RoundTripMismatch("The SR does not say why the study was rejected.")
