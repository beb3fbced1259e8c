"""The label map as a DICOM Segmentation in the source's study and frame of reference."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import highdicom as hd
import numpy as np
from highdicom.seg import SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes

from willis_models.codes import (
    ABNORMAL_STRUCTURE,
    ANATOMICAL_STRUCTURE,
    BRAIN,
    LATERALITY,
    Code,
)
from willis_models.errors import ResultError
from willis_models.findings import INTENDED_USE_STATEMENT, ModelIdentity, SegmentFinding
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.concepts import coded
from willis_service.adapters.dicom.layers import layers_of, stacked
from willis_service.adapters.dicom.result_headers import (
    RESEARCH_USE_DESCRIPTION,
    Equipment,
    ResultIdentity,
    algorithm_parameters,
    common_arguments,
    complete_result,
    local_time,
    plain_text,
    result_identity,
)
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.source_images import name_source_frames, source_images

Labels = NDArray[np.uint8]

SERIES_OFFSET = 1
_CONTENT_LABEL = "WILLIS_{pipeline}"
_LONG_STRING = 64
_NO_VOXEL = "No voxel of this structure was found: the segment has no frame."


def write_seg(
    analysis: Analysis,
    series: DicomSeries,
    equipment: Equipment,
    *,
    created: datetime,
    predecessor: Dataset | None = None,
) -> Dataset | None:
    """A BINARY SEG with one segment for each of the findings' segments, numbered as the labels.

    Segments of different layers may overlap, which BINARY allows.

    Returns None where no structure has a voxel: a SEG without content says nothing that the SR
    does not say better. A single segment without a voxel keeps its description, which says so,
    and has no frame, so that numbers stay equal to the label map's values. ``predecessor`` is the
    SR of the result that this one amends.
    """
    findings, model = analysis.findings, analysis.findings.model
    if analysis.labels is None or model is None:
        raise ResultError("A SEG needs a label map and the model that made it.")
    layers = layers_of(analysis)
    if not any(layer.any() for layer in layers):
        return None
    identity = result_identity(series.headers, findings, equipment, predecessor)
    moment = local_time(created, series.headers[0])
    seg = hd.seg.Segmentation(
        source_images=source_images(series),
        pixel_array=stacked(layers, len(findings.segments)),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(findings.segments, layers, model, identity),
        omit_empty_frames=True,
        content_label=_CONTENT_LABEL.format(pipeline=findings.pipeline.upper())[:16],
        content_description=RESEARCH_USE_DESCRIPTION,
        content_creator_name="Willis^",
        series_description=f"Willis {findings.pipeline} SEG - research use only"[:_LONG_STRING],
        **common_arguments("seg", SERIES_OFFSET, identity, equipment, model, moment),
    )
    complete_result(seg, series.headers[0], moment)
    fix_dimension_uid(seg, identity.uid("seg", "dimension"))
    name_source_frames(seg, series)
    return seg


def tracking(segment: SegmentFinding, identity: ResultIdentity) -> tuple[str, str]:
    """Tracking identifier and UID of a segment, the same in SEG and SR."""
    return segment.key, str(identity.uid("tracking", segment.key))


def category(segment: SegmentFinding) -> Code:
    """Whether the segment is a part of the body or something abnormal in it."""
    return ABNORMAL_STRUCTURE if segment.kind == "lesion" else ANATOMICAL_STRUCTURE


def segments_with_frames(seg: Dataset) -> frozenset[int]:
    """Numbers of the segments that have at least one frame."""
    groups = (*seg.SharedFunctionalGroupsSequence, *seg.PerFrameFunctionalGroupsSequence)
    return frozenset(
        int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        for group in groups
        if "SegmentIdentificationSequence" in group
    )


def _descriptions(
    segments: Sequence[SegmentFinding],
    layers: Sequence[Labels],
    model: ModelIdentity,
    identity: ResultIdentity,
) -> list[SegmentDescription]:
    found = set().union(*(np.unique(layer).tolist() for layer in layers))
    algorithm = algorithm_identification(model)
    return [
        _description(segment, segment.number in found, algorithm, tracking(segment, identity))
        for segment in sorted(segments, key=lambda segment: segment.number)
    ]


def _description(
    segment: SegmentFinding,
    has_voxels: bool,
    algorithm: hd.AlgorithmIdentificationSequence,
    track: tuple[str, str],
) -> SegmentDescription:
    item = SegmentDescription(
        segment_number=segment.number,
        segment_label=plain_text(segment.label)[:_LONG_STRING],
        segmented_property_category=coded(category(segment)),
        segmented_property_type=coded(segment.structure),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_id=track[0],
        tracking_uid=track[1],
        anatomic_regions=[coded(BRAIN)],
    )
    item.SegmentDescription = " ".join(
        [INTENDED_USE_STATEMENT, *([] if has_voxels else [_NO_VOXEL])]
    )
    if segment.laterality is not None:
        _add_side(item, LATERALITY[segment.laterality])
    return item


def _add_side(item: Any, side: Code) -> None:
    """Laterality where PS3.3 C.8.20.4 asks for it, and where viewers of anatomy look for it."""
    item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
        coded(side)
    ]
    item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [coded(side)]


def algorithm_identification(model: ModelIdentity) -> hd.AlgorithmIdentificationSequence:
    """Name, version and the weights' digest of the network."""
    return hd.AlgorithmIdentificationSequence(
        name=model.name,
        family=codes.DCM.ArtificialIntelligence,
        version=model.version,
        source="Willis",
        parameters=algorithm_parameters([("weights_sha256", model.weights_sha256)]),
    )


def fix_dimension_uid(result: Dataset, uid: str) -> None:
    """highdicom draws this UID at random; a rerun must give the same object."""
    for item in (*result.DimensionOrganizationSequence, *result.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
