"""Proof that a written SEG says what the label maps in memory say, before it leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import iter_pixels
from scipy import ndimage

from willis_models.codes import LATERALITY
from willis_models.errors import RoundTripMismatch
from willis_models.findings import SegmentFinding
from willis_models.volume import SliceStack
from willis_service.adapters.dicom.layers import mask_of
from willis_service.adapters.dicom.placement import (
    TOLERANCE_VOXELS,
    Groups,
    Placement,
    check_references,
    frame_groups,
    placement,
    slice_of,
)
from willis_service.adapters.dicom.seg import category
from willis_service.adapters.dicom.series import DicomSeries

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Plane:
    """Sums over the voxels of one structure in one plane."""

    distance_mm: float
    area_mm2: float
    count: int
    world_sum_lps: Floats


@dataclass(frozen=True)
class _Shape:
    """Volume and centroid of one structure in patient coordinates."""

    volume_ml: float
    centroid_lps: Floats


@dataclass(frozen=True)
class _Frame:
    """One frame of the SEG with the geometry that its functional groups declare."""

    number: int
    mask: NDArray[np.bool_]
    place: Placement

    def plane(self) -> _Plane:
        """What this frame holds, in patient coordinates."""
        place = self.place
        return _plane(self.mask, place.position_lps, place.row_step_lps, place.column_step_lps)


def verify_seg(
    seg: Dataset, segments: Sequence[SegmentFinding], layers: Sequence[Labels], series: DicomSeries
) -> None:
    """Raise RoundTripMismatch unless the SEG, read again from disk, agrees with the label maps.

    For each segment: volume within one voxel, centroid within half a voxel, side as found; for
    each frame: it lies on the slice of the source image that it names, and its pixels are ours.
    """
    check_references(seg, series, "The SEG")
    _check_descriptions(seg, segments)
    frames: dict[int, list[_Plane]] = defaultdict(list)
    for frame in _read_frames(seg):
        _check_frame(frame, layers, series)
        frames[frame.number].append(frame.plane())
    stack = series.image.stack
    memory = {n: planes for layer in layers for n, planes in _planes_in_memory(layer, stack)}
    for segment in segments:
        theirs, ours = frames.get(segment.number, []), memory.get(segment.number, [])
        _check_shape(segment, theirs, ours, stack)


def _plane(mask: NDArray[np.bool_], origin: Floats, row: Floats, column: Floats) -> _Plane:
    y, x = np.nonzero(mask)
    normal = np.cross(row, column)
    world_sum = len(x) * origin + y.sum() * column + x.sum() * row
    area = float(np.linalg.norm(normal))
    return _Plane(float(origin @ normal) / area, area, len(x), world_sum)


def _planes_in_memory(labels: Labels, stack: SliceStack) -> Iterator[tuple[int, list[_Plane]]]:
    """The planes of each label, looked for inside its bounding box only."""
    row, column = stack.row_step_lps, stack.column_step_lps
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            shift = box[1].start * column + box[2].start * row
            masks = zip(labels[box] == number, stack.origins_lps[box[0]] + shift, strict=True)
            yield number, [_plane(m, at, row, column) for m, at in masks if m.any()]


def _shape(planes: Sequence[_Plane]) -> _Shape:
    """Each plane stands for the length half-way to its occupied neighbours (1 mm if alone)."""
    planes = sorted(planes, key=lambda plane: plane.distance_mm)
    steps = np.diff([plane.distance_mm for plane in planes])
    extents = (np.r_[steps[:1], steps] + np.r_[steps, steps[-1:]]) / 2 if len(steps) else [1.0]
    volumes = [p.area_mm2 * p.count * mm for p, mm in zip(planes, extents, strict=True)]
    total = sum(plane.count for plane in planes)
    world = np.sum([plane.world_sum_lps for plane in planes], axis=0)
    return _Shape(float(sum(volumes)) / 1000.0, world / total)


def _read_frames(seg: Dataset) -> Iterator[_Frame]:
    for groups, mask in zip(frame_groups(seg), iter_pixels(seg, raw=True), strict=True):
        yield _Frame(_number(groups), np.asarray(mask, bool), placement(groups))


def _number(groups: Groups) -> int:
    return int(groups["SegmentIdentificationSequence"].ReferencedSegmentNumber)


def _check_frame(frame: _Frame, layers: Sequence[Labels], series: DicomSeries) -> None:
    """The frame's corners fall on those of one slice, that slice is named, the pixels agree."""
    what = f"A frame of segment {frame.number}"
    k = slice_of(frame.place, frame.mask.shape, series, what)
    if not np.array_equal(frame.mask, mask_of([layer[k] for layer in layers], frame.number)):
        raise RoundTripMismatch(f"{what} has other pixels.")


def _check_shape(
    segment: SegmentFinding, theirs: list[_Plane], ours: list[_Plane], stack: SliceStack
) -> None:
    if not theirs and not ours:
        return
    if len(theirs) != len(ours):
        raise RoundTripMismatch(
            f"Segment {segment.number} has {len(theirs)} frames for {len(ours)} slices."
        )
    written, expected = _shape(theirs), _shape(ours)
    if abs(written.volume_ml - expected.volume_ml) > float(stack.voxel_ml.min()):
        raise RoundTripMismatch(f"Segment {segment.number} has another volume than its mask.")
    distance_mm = float(np.linalg.norm(written.centroid_lps - expected.centroid_lps))
    if not distance_mm <= TOLERANCE_VOXELS * min(stack.pixel_spacing_mm):
        raise RoundTripMismatch(
            f"Segment {segment.number} lies {distance_mm:.2f} mm away from its mask."
        )


def _check_descriptions(seg: Dataset, segments: Sequence[SegmentFinding]) -> None:
    written = [_described(item) for item in seg.SegmentSequence]
    expected = [
        (
            s.number,
            category(s).value,
            s.structure_value,
            LATERALITY[s.laterality].value if s.laterality else None,
        )
        for s in sorted(segments, key=lambda segment: segment.number)
    ]
    if written != expected:
        raise RoundTripMismatch("The SEG's segments have other numbers, structures or sides.")


def _described(item: Dataset) -> tuple[int, str, str, str | None]:
    kind = item.SegmentedPropertyCategoryCodeSequence[0]
    structure = item.SegmentedPropertyTypeCodeSequence[0]
    sides = structure.get("SegmentedPropertyTypeModifierCodeSequence")
    region_sides = item.AnatomicRegionSequence[0].get("AnatomicRegionModifierSequence")
    side = str(sides[0].CodeValue) if sides else None
    if side != (str(region_sides[0].CodeValue) if region_sides else None):
        raise RoundTripMismatch(f"Segment {item.SegmentNumber} states two different sides.")
    return int(item.SegmentNumber), str(kind.CodeValue), str(structure.CodeValue), side
