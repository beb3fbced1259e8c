"""The measurement groups of a written SR against the findings in memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from pydicom import Dataset

from willis_models.codes import (
    INTERVAL_BASIS,
    INTERVAL_HIGH,
    INTERVAL_LOW,
    LATERALITY,
    MEASUREMENTS,
    NOTHING_FOUND,
    REGION_STATE,
    RULE_STATE,
    STATES,
    VESSEL_POSITION,
    Laterality,
)
from willis_models.errors import RoundTripMismatch
from willis_models.findings import NOTHING_FOUND as NOTHING_FOUND_TEXT
from willis_models.findings import Measurement, SegmentFinding, SideScore, State, VesselCurve
from willis_service.adapters.dicom.result_headers import plain_text
from willis_service.adapters.dicom.seg import segments_with_frames
from willis_service.adapters.dicom.sr_groups import basis_of, is_absent, site_of
from willis_service.adapters.dicom.sr_perfusion import position_text
from willis_service.adapters.dicom.sr_tree import coded_value, identifier, named, numbers, texts

_REFERENCED_SEGMENT = "121191"
_FINDING = "121071"
_FINDING_SITE = "363698007"
_LATERALITY = "272741003"
_ENDS = {"low": INTERVAL_LOW.value, "high": INTERVAL_HIGH.value}
_RELATIVE_TOLERANCE = 1e-6
_POINT_TOLERANCE_MM = 1e-3


def _check_numbers(group: Dataset, expected: Mapping[str, tuple[float | None, str]]) -> None:
    written = numbers(group)
    known = {MEASUREMENTS[k].value: (v, unit) for k, (v, unit) in expected.items() if v is not None}
    if written.keys() != known.keys():
        raise RoundTripMismatch(f"The SR has other measurements of {identifier(group)}.")
    for concept, (value_, unit) in known.items():
        if not _is_same(written[concept], (value_, unit)):
            raise RoundTripMismatch(f"The SR has another {concept} of {identifier(group)}.")


def _is_same(written: tuple[float, str], expected: tuple[float, str]) -> bool:
    (number, unit), (wanted, wanted_unit) = written, expected
    close = math.isclose(number, wanted, rel_tol=_RELATIVE_TOLERANCE, abs_tol=1e-9)
    return close and unit == wanted_unit


def _check_measurements(group: Dataset, measurements: Sequence[Measurement]) -> None:
    """Every number, and below it the interval that it has, or none."""
    _check_numbers(group, {m.key: (m.value, m.unit) for m in measurements})
    for one in measurements:
        if one.value is not None:
            _check_interval(group, one)


def _check_interval(group: Dataset, measured: Measurement) -> None:
    number = next(
        item
        for item in group.ContentSequence
        if item.ValueType == "NUM" and named(item, measured.concept.value)
    )
    written, interval = numbers(number), measured.interval
    ends = {} if interval is None else {"low": interval.low, "high": interval.high}
    expected = {_ENDS[name]: (end, measured.unit) for name, end in ends.items()}
    is_same = written.keys() == expected.keys() and all(
        _is_same(written[concept], expected[concept]) for concept in expected
    )
    basis = [] if interval is None else [plain_text(basis_of(interval))]
    if not is_same or texts(number, INTERVAL_BASIS.value) != basis:
        raise RoundTripMismatch(f"The SR has another interval of {identifier(group)}.")


def check_score(group: Dataset, score: SideScore) -> None:
    """The score of one side. Raises RoundTripMismatch, as all of these do."""
    _check_side(group, score.side)
    values = {
        "aspects_score": score.score,
        "aspects_lowest": score.lowest,
        "aspects_highest": score.highest,
    }
    _check_numbers(group, {key: (value, "{score}") for key, value in values.items()})


def check_segment(group: Dataset, segment: SegmentFinding, seg: Dataset | None) -> None:
    """One segment: side, numbers, structure, states, and the reference into the SEG."""
    _check_side(group, segment.laterality)
    _check_measurements(group, segment.measurements)
    said = (coded_value(group, _FINDING), coded_value(group, _FINDING_SITE))
    if said != (segment.structure_value, site_of(segment).value):
        raise RoundTripMismatch(f"The SR places {segment.key} in another structure.")
    if texts(group, NOTHING_FOUND.value) != ([NOTHING_FOUND_TEXT] if is_absent(segment) else []):
        raise RoundTripMismatch(f"The SR says something else about the absence of {segment.key}.")
    _check_state(group, REGION_STATE.value, segment.state)
    _check_state(group, RULE_STATE.value, segment.rule_state)
    _check_segment_reference(group, segment, seg)


def _check_state(group: Dataset, concept: str, state: State | None) -> None:
    expected = None if state is None else STATES[state].value
    if coded_value(group, concept) != expected:
        raise RoundTripMismatch(f"The SR has another state of {identifier(group)}.")


def _check_side(group: Dataset, side: Laterality | None) -> None:
    expected = None if side is None else LATERALITY[side].value
    if coded_value(group, _LATERALITY) != expected:
        raise RoundTripMismatch(f"The SR places {identifier(group)} on another side.")


def _check_segment_reference(group: Dataset, segment: SegmentFinding, seg: Dataset | None) -> None:
    references = [
        (str(reference.ReferencedSOPInstanceUID), int(reference.ReferencedSegmentNumber))
        for item in group.ContentSequence
        if named(item, _REFERENCED_SEGMENT)
        for reference in item.ReferencedSOPSequence
    ]
    has_frames = seg is not None and segment.number in segments_with_frames(seg)
    expected = [(str(seg.SOPInstanceUID), segment.number)] if seg and has_frames else []
    if references != expected:
        raise RoundTripMismatch(f"The SR links {segment.key} to another segment.")


def check_numbers(group: Dataset, measurements: Sequence[Measurement]) -> None:
    """Numbers that belong to no single segment."""
    _check_measurements(group, measurements)


def check_vessel(group: Dataset, curve: VesselCurve, source: Dataset) -> None:
    """The bolus of a vessel, and where it was measured: in the source's frame of reference."""
    _check_measurements(group, curve.measurements)
    frame_of_reference_uid = source.get("FrameOfReferenceUID")
    if frame_of_reference_uid is None:
        if texts(group, VESSEL_POSITION.value) != [plain_text(position_text(curve))]:
            raise RoundTripMismatch(f"The SR does not say where the {curve.name} lies.")
        return
    points = [item for item in group.ContentSequence if item.ValueType == "SCOORD3D"]
    is_there = len(points) == 1 and np.allclose(
        points[0].GraphicData, curve.position_lps, rtol=0, atol=_POINT_TOLERANCE_MM
    )
    if not is_there or points[0].ReferencedFrameOfReferenceUID != frame_of_reference_uid:
        raise RoundTripMismatch(f"The SR places the {curve.name} somewhere else.")
