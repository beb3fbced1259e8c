"""Measurement groups of the SR: one a side with its score, one a region with its evidence."""

from __future__ import annotations

from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
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
    ANATOMICAL_STRUCTURE,
    HEMISPHERE,
    LATERALITY,
    MEASUREMENTS,
    REGION_STATE,
    RULE_STATE,
    SCORE_STATE,
    STATE_REASON,
    STATES,
    UNITS,
)
from willis_models.findings import SegmentFinding, SideScore
from willis_service.adapters.dicom.concepts import coded
from willis_service.adapters.dicom.result_headers import ResultIdentity, plain_text
from willis_service.adapters.dicom.seg import segments_with_frames, tracking

Group = MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations
_SCORE_UNIT = "{score}"


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
            _measurement(name, value, _SCORE_UNIT)
            for name, value in values.items()
            if value is not None
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
    """One region: where it is, its state, the rule's state, the reason and the measurements."""
    identifier, uid = tracking(segment, identity)
    arguments: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(uid, identifier),
        "finding_type": coded(segment.structure),
        "finding_category": coded(ANATOMICAL_STRUCTURE),
        "algorithm_id": algorithm,
        "finding_sites": [_site(segment)],
        "measurements": [
            _measurement(m.key, m.value, m.unit)
            for m in segment.measurements
            if m.value is not None
        ],
        "qualitative_evaluations": _states(segment),
    }
    if seg is not None and segment.number in segments_with_frames(seg):
        group: Group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            referenced_segment=_reference(segment, source, seg), **arguments
        )
    else:
        group = MeasurementsAndQualitativeEvaluations(**arguments)
    if segment.reason is not None:
        group[0].ContentSequence.append(_reason(segment.reason))
    return group


def _site(segment: SegmentFinding) -> FindingSite:
    side = None if segment.laterality is None else coded(LATERALITY[segment.laterality])
    return FindingSite(coded(segment.structure), laterality=side)


def _states(segment: SegmentFinding) -> list[QualitativeEvaluation]:
    named = ((REGION_STATE, segment.state), (RULE_STATE, segment.rule_state))
    return [
        QualitativeEvaluation(coded(name), coded(STATES[state]))
        for name, state in named
        if state is not None
    ]


def _measurement(key: str, value: float, unit: str) -> Measurement:
    return Measurement(coded(MEASUREMENTS[key]), value, coded(UNITS[unit]))


def _reference(segment: SegmentFinding, source: Dataset, seg: Dataset) -> ReferencedSegment:
    return ReferencedSegment(
        sop_class_uid=str(seg.SOPClassUID),
        sop_instance_uid=str(seg.SOPInstanceUID),
        segment_number=segment.number,
        source_series=SourceSeriesForSegmentation(str(source.SeriesInstanceUID)),
    )


def _reason(text: str) -> TextContentItem:
    return TextContentItem(
        coded(STATE_REASON), plain_text(text), relationship_type=RelationshipTypeValues.CONTAINS
    )
