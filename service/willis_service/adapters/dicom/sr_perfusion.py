"""Measurement groups of perfusion in the SR: numbers of the whole study, and the two vessels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues3D,
    ImageRegion3D,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    TrackingIdentifier,
)
from pydicom import Dataset

from willis_models.codes import (
    BRAIN,
    HEAD_MOTION,
    STUDY_NUMBERS,
    VESSEL_CHOICE,
    VESSEL_POSITION,
    VESSELS,
)
from willis_models.findings import Measurement, MotionTrace, PerfusionFindings, VesselCurve
from willis_service.adapters.dicom.concepts import coded
from willis_service.adapters.dicom.result_headers import ResultIdentity
from willis_service.adapters.dicom.sr_groups import Group, numbers, text

STUDY_KEY, MOTION_KEY = "study", "motion"
BY_HAND, AUTOMATIC = "Chosen by hand", "Chosen automatically"


def study_group(
    measurements: Sequence[Measurement],
    identity: ResultIdentity,
    algorithm: AlgorithmIdentification,
) -> Group:
    """The numbers that belong to no single segment."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(STUDY_KEY, identity),
        finding_type=coded(STUDY_NUMBERS),
        algorithm_id=algorithm,
        finding_sites=[FindingSite(coded(BRAIN))],
        measurements=numbers(measurements),
    )


def motion_group(
    trace: MotionTrace, identity: ResultIdentity, algorithm: AlgorithmIdentification
) -> Group:
    """How far the head moved at most; the trace itself stands in the findings."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(MOTION_KEY, identity),
        finding_type=coded(HEAD_MOTION),
        algorithm_id=algorithm,
        measurements=numbers(motion_numbers(trace)),
    )


def motion_numbers(trace: MotionTrace) -> tuple[Measurement, ...]:
    """The largest displacement and rotation against the reference frame, before correction."""
    return (
        Measurement(key="max_translation_mm", value=max(trace.translation_mm), unit="mm"),
        Measurement(key="max_rotation_deg", value=max(trace.rotation_deg), unit="deg"),
    )


def vessels_of(perfusion: PerfusionFindings | None) -> tuple[VesselCurve, ...]:
    """The artery and the vein that were measured."""
    both = (perfusion.aif, perfusion.vof) if perfusion is not None else ()
    return tuple(curve for curve in both if curve is not None)


def vessel_group(
    curve: VesselCurve,
    source: Dataset,
    identity: ResultIdentity,
    algorithm: AlgorithmIdentification,
) -> Group:
    """A vessel: how it was chosen, its bolus, and where it lies as a point in the patient.

    A source without a frame of reference has no patient coordinates to point into: then the
    position stands in words.
    """
    frame_of_reference_uid = source.get("FrameOfReferenceUID")
    arguments: dict[str, Any] = {
        "tracking_identifier": _tracking(curve.name, identity),
        "finding_type": coded(VESSELS[curve.name]),
        "algorithm_id": algorithm,
        "measurements": numbers(curve.measurements),
    }
    if frame_of_reference_uid:
        point = ImageRegion3D(
            GraphicTypeValues3D.POINT,
            np.array([curve.position_lps], dtype=float),
            str(frame_of_reference_uid),
        )
        group: Group = PlanarROIMeasurementsAndQualitativeEvaluations(
            referenced_region=point, **arguments
        )
    else:
        group = MeasurementsAndQualitativeEvaluations(**arguments)
        group[0].ContentSequence.append(text(VESSEL_POSITION, position_text(curve)))
    group[0].ContentSequence.append(text(VESSEL_CHOICE, BY_HAND if curve.is_manual else AUTOMATIC))
    return group


def position_text(curve: VesselCurve) -> str:
    """The position in patient coordinates (DICOM LPS)."""
    x, y, z = curve.position_lps
    return f"x {x:.1f} mm, y {y:.1f} mm, z {z:.1f} mm (LPS: +x patient left, +y back, +z head)"


def _tracking(key: str, identity: ResultIdentity) -> TrackingIdentifier:
    return TrackingIdentifier(str(identity.uid("tracking", key)), key)
