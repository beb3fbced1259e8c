"""Measurement groups of the SR: one a side with its score, one a segment with its evidence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    ContentSequence,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    NumContentItem,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom import Dataset

from willis_models.codes import (
    BRAIN,
    HEMISPHERE,
    INTERVAL_BASIS,
    INTERVAL_HIGH,
    INTERVAL_LOW,
    LATERALITY,
    MEASUREMENTS,
    NOTHING_FOUND,
    REGION_STATE,
    RULE_STATE,
    SCORE_STATE,
    STATE_REASON,
    STATES,
    UNITS,
    Code,
)
from willis_models.findings import NOTHING_FOUND as NOTHING_FOUND_TEXT
from willis_models.findings import Interval, SegmentFinding, SideScore
from willis_models.findings import Measurement as Measured
from willis_service.adapters.dicom.concepts import coded
from willis_service.adapters.dicom.result_headers import ResultIdentity, plain_text
from willis_service.adapters.dicom.seg import category, segments_with_frames, tracking

Group = (
    MeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | VolumetricROIMeasurementsAndQualitativeEvaluations
)
_SCORE_UNIT = "{score}"
_PROPERTY = RelationshipTypeValues.HAS_PROPERTIES


def score_group(
    score: SideScore, identity: ResultIdentity, algorithm: AlgorithmIdentification
) -> Group:
    """The score of one side with its range; coded as not assessable where there is none."""
    key = f"{score.side}_aspects_score"
    values = {
        "aspects_score": score.score,
        "aspects_lowest": score.lowest,
        "aspects_highest": score.highest,
    }
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(str(identity.uid("tracking", key)), key),
        finding_type=coded(MEASUREMENTS["aspects_score"]),
        algorithm_id=algorithm,
        finding_sites=[FindingSite(coded(HEMISPHERE), laterality=coded(LATERALITY[score.side]))],
        measurements=[
            _number(name, value, _SCORE_UNIT) for name, value in values.items() if value is not None
        ],
        qualitative_evaluations=[] if score.score is not None else [_score_missing()],
    )


def _score_missing() -> QualitativeEvaluation:
    return QualitativeEvaluation(coded(SCORE_STATE), coded(STATES["not_assessable"]))


def region_group(
    segment: SegmentFinding,
    source: Dataset,
    seg: Dataset | None,
    identity: ResultIdentity,
    algorithm: AlgorithmIdentification,
) -> Group:
    """One segment: where it is, its state, the rule's state, the reason and the measurements."""
    identifier, uid = tracking(segment, identity)
    arguments: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid, identifier),
        "finding_type": coded(segment.structure),
        "finding_category": coded(category(segment)),
        "algorithm_id": algorithm,
        "finding_sites": [_site(segment)],
        "measurements": numbers(segment.measurements),
        "qualitative_evaluations": _states(segment),
    }
    if seg is not None and segment.number in segments_with_frames(seg):
        group: Group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=_reference(segment, source, seg), **arguments
        )
    else:
        group = MeasurementsAndQualitativeEvaluations(**arguments)
    if segment.reason is not None and not is_absent(segment):
        group[0].ContentSequence.append(text(STATE_REASON, segment.reason))
    if is_absent(segment):
        group[0].ContentSequence.append(text(NOTHING_FOUND, NOTHING_FOUND_TEXT))
    return group


def is_absent(segment: SegmentFinding) -> bool:
    """Whether it is something abnormal that was looked for and of which nothing was found."""
    return segment.kind == "lesion" and segment.value("volume_ml") == 0


def site_of(segment: SegmentFinding) -> Code:
    """The structure itself; something abnormal lies in the brain."""
    return BRAIN if segment.kind == "lesion" else segment.structure


def _site(segment: SegmentFinding) -> FindingSite:
    side = None if segment.laterality is None else coded(LATERALITY[segment.laterality])
    return FindingSite(coded(site_of(segment)), laterality=side)


def _states(segment: SegmentFinding) -> list[QualitativeEvaluation]:
    named = ((REGION_STATE, segment.state), (RULE_STATE, segment.rule_state))
    return [
        QualitativeEvaluation(coded(name), coded(STATES[state]))
        for name, state in named
        if state is not None
    ]


def numbers(measurements: Iterable[Measured]) -> list[Measurement]:
    """What was measured; an interval hangs on its number and says what it rests on."""
    made = []
    for one in measurements:
        if one.value is not None:
            item = _number(one.key, one.value, one.unit)
            if one.interval is not None:
                item[0].ContentSequence = _interval(one.interval, one.unit)
            made.append(item)
    return made


def _number(key: str, value: float, unit: str) -> Measurement:
    return Measurement(coded(MEASUREMENTS[key]), value, coded(UNITS[unit]))


def _interval(interval: Interval, unit: str) -> ContentSequence:
    ends = ((INTERVAL_LOW, interval.low), (INTERVAL_HIGH, interval.high))
    return ContentSequence(
        [
            *(
                NumContentItem(coded(name), end, coded(UNITS[unit]), None, _PROPERTY)
                for name, end in ends
            ),
            text(INTERVAL_BASIS, basis_of(interval), _PROPERTY),
        ]
    )


def basis_of(interval: Interval) -> str:
    """For example ``90% of cases lie inside; calibrated on simulated data``."""
    return f"{100 * interval.coverage:.0f}% of cases lie inside; {interval.basis}"


def _reference(segment: SegmentFinding, source: Dataset, seg: Dataset) -> ReferencedSegment:
    return ReferencedSegment(
        sop_class_uid=str(seg.SOPClassUID),
        sop_instance_uid=str(seg.SOPInstanceUID),
        segment_number=segment.number,
        source_series=SourceSeriesForSegmentation(str(source.SeriesInstanceUID)),
    )


def text(
    name: Code,
    value: str,
    relationship: RelationshipTypeValues = RelationshipTypeValues.CONTAINS,
) -> TextContentItem:
    """A text item in characters that every character set holds."""
    return TextContentItem(coded(name), plain_text(value), relationship_type=relationship)
