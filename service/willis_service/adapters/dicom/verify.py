"""Proof that a written SEG says what the label map in memory says, before it leaves.

The SEG is read as a stranger would read it: from its own functional groups, never from the stack
that it was written from. Shifts and flips by a voxel are the commonest fault of such objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from willis_service.adapters.dicom.series import DicomSeries

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]

_TOLERANCE_VOXELS = 0.5


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
    position_lps: Floats
    row_step_lps: Floats
    column_step_lps: Floats
    source_uid: str
    source_frame: int | None

    def plane(self) -> _Plane:
        """What this frame holds, in patient coordinates."""
        return _plane(self.mask, self.position_lps, self.row_step_lps, self.column_step_lps)


def verify_seg(
    seg: Dataset, segments: Sequence[SegmentFinding], labels: Labels, series: DicomSeries
) -> None:
    """Raise RoundTripMismatch unless the SEG, read again from disk, agrees with ``labels``.

    For each segment: volume within one voxel, centroid within half a voxel, side as found; for
    each frame: it lies on the slice of the source image that it names, and its pixels are ours.
    """
    _check_references(seg, series)
    _check_descriptions(seg, segments)
    frames: dict[int, list[_Plane]] = defaultdict(list)
    for frame in _read_frames(seg):
        _check_frame(frame, labels, series)
        frames[frame.number].append(frame.plane())
    memory = _planes_in_memory(labels, series.image.stack)
    for segment in segments:
        theirs, ours = frames.get(segment.number, []), memory.get(segment.number, [])
        _check_shape(segment, theirs, ours, series.image.stack)


def _plane(mask: NDArray[np.bool_], origin: Floats, row: Floats, column: Floats) -> _Plane:
    y, x = np.nonzero(mask)
    normal = np.cross(row, column)
    world_sum = len(x) * origin + y.sum() * column + x.sum() * row
    area = float(np.linalg.norm(normal))
    return _Plane(float(origin @ normal) / area, area, len(x), world_sum)


def _planes_in_memory(labels: Labels, stack: SliceStack) -> dict[int, list[_Plane]]:
    """The planes of each label, looked for inside its bounding box only."""
    row, column = stack.row_step_lps, stack.column_step_lps
    planes: dict[int, list[_Plane]] = {}
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            shift = box[1].start * column + box[2].start * row
            masks = zip(labels[box] == number, stack.origins_lps[box[0]] + shift, strict=True)
            planes[number] = [_plane(m, at, row, column) for m, at in masks if m.any()]
    return planes


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
    shared = seg.SharedFunctionalGroupsSequence[0]
    own = seg.PerFrameFunctionalGroupsSequence
    masks = iter_pixels(seg, raw=True)
    for group, mask in zip(own, masks, strict=True):
        yield _frame(_merged(shared, group), np.asarray(mask, bool))


def _merged(shared: Dataset, own: Dataset) -> Mapping[str, Dataset]:
    """The first item of each functional group of one frame, its own before the shared ones."""
    return {e.keyword: e.value[0] for group in (shared, own) for e in group if e.VR == "SQ"}


def _frame(groups: Mapping[str, Dataset], mask: NDArray[np.bool_]) -> _Frame:
    cosines = np.array(groups["PlaneOrientationSequence"].ImageOrientationPatient, float)
    between_rows, between_columns = groups["PixelMeasuresSequence"].PixelSpacing
    source = groups["DerivationImageSequence"].SourceImageSequence[0]
    frame_number = source.get("ReferencedFrameNumber")
    return _Frame(
        number=int(groups["SegmentIdentificationSequence"].ReferencedSegmentNumber),
        mask=mask,
        position_lps=np.array(groups["PlanePositionSequence"].ImagePositionPatient, float),
        row_step_lps=cosines[:3] * float(between_columns),
        column_step_lps=cosines[3:] * float(between_rows),
        source_uid=str(source.ReferencedSOPInstanceUID),
        source_frame=None if frame_number is None else int(frame_number),
    )


def _check_frame(frame: _Frame, labels: Labels, series: DicomSeries) -> None:
    """The frame's corners fall on those of one slice, that slice is named, the pixels agree."""
    stack = series.image.stack
    _, rows, columns = stack.shape
    if frame.mask.shape != (rows, columns):
        raise RoundTripMismatch(f"A frame of segment {frame.number} has another matrix.")
    corners = np.array([(0, 0), (rows - 1, 0), (0, columns - 1)], float)
    world = frame.position_lps + corners @ np.stack([frame.column_step_lps, frame.row_step_lps])
    index = stack.to_index(world)
    k = int(np.clip(np.rint(index[0, 0]), 0, len(labels) - 1))
    expected = np.column_stack([np.full(3, k), corners])
    if np.abs(index - expected).max() > _TOLERANCE_VOXELS:
        raise RoundTripMismatch(f"A frame of segment {frame.number} lies on no source slice.")
    if not _names_slice(frame, series, k):
        raise RoundTripMismatch(f"A frame of segment {frame.number} names another source image.")
    if not np.array_equal(frame.mask, labels[k] == frame.number):
        raise RoundTripMismatch(f"A frame of segment {frame.number} has other pixels.")


def _names_slice(frame: _Frame, series: DicomSeries, k: int) -> bool:
    if series.frame_numbers is None:
        return frame.source_uid == str(series.headers[k].SOPInstanceUID)
    is_same_object = frame.source_uid == str(series.headers[0].SOPInstanceUID)
    return is_same_object and frame.source_frame == series.frame_numbers[k]


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
    if not distance_mm <= _TOLERANCE_VOXELS * min(stack.pixel_spacing_mm):
        raise RoundTripMismatch(
            f"Segment {segment.number} lies {distance_mm:.2f} mm away from its mask."
        )


def _check_references(seg: Dataset, series: DicomSeries) -> None:
    source = series.headers[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if seg.get(keyword) != source.get(keyword):
            raise RoundTripMismatch(f"The SEG has another {keyword} than its source.")
    listed = {
        (str(item.SeriesInstanceUID), str(instance.ReferencedSOPInstanceUID))
        for item in seg.ReferencedSeriesSequence
        for instance in item.ReferencedInstanceSequence
    }
    wanted = {(series.series_instance_uid, str(h.SOPInstanceUID)) for h in series.headers}
    if listed != wanted:
        raise RoundTripMismatch("The SEG does not refer to exactly the analysed images.")


def _check_descriptions(seg: Dataset, segments: Sequence[SegmentFinding]) -> None:
    written = [_described(item) for item in seg.SegmentSequence]
    expected = [
        (s.number, s.structure_value, LATERALITY[s.laterality].value if s.laterality else None)
        for s in sorted(segments, key=lambda segment: segment.number)
    ]
    if written != expected:
        raise RoundTripMismatch("The SEG's segments have other numbers, structures or sides.")


def _described(item: Dataset) -> tuple[int, str, str | None]:
    structure = item.SegmentedPropertyTypeCodeSequence[0]
    sides = structure.get("SegmentedPropertyTypeModifierCodeSequence")
    region_sides = item.AnatomicRegionSequence[0].get("AnatomicRegionModifierSequence")
    side = str(sides[0].CodeValue) if sides else None
    if side != (str(region_sides[0].CodeValue) if region_sides else None):
        raise RoundTripMismatch(f"Segment {item.SegmentNumber} states two different sides.")
    return int(item.SegmentNumber), str(structure.CodeValue), side
