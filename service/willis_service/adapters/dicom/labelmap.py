"""A BINARY segmentation as LABELMAP, and everything that refers to it changed alike.

The same content in another form is another object: class and UID differ, and so does what the
report says it refers to. The new UIDs follow from the old ones, so that a report and its successor
agree on them without being told.

A label map can't hold segments that overlap. Such a segmentation stays BINARY, under the UIDs that
follow all the same: so whatever refers to it is right whether or not its segments overlap.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage

from willis_models.errors import ResultError, RoundTripMismatch

LABELMAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
_NAMESPACE = uuid.UUID("f3b1d8a2-8c0e-5d55-9a57-2f9d8d0f7c41")
_OURS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.")
_MOST_SEGMENTS = 255

Position = tuple[float, ...]
Labels = NDArray[np.uint8]


def labelmap_uid(uid: str) -> str:
    """The UID that an object or series of ours has where segmentations are label maps."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, uid).int}"


def class_there(sop_class_uid: str, seg_class_uid: str) -> str:
    """The SOP class of a result there, where segmentations are of this class."""
    return seg_class_uid if sop_class_uid == SegmentationStorage else sop_class_uid


def has_overlap(seg: Dataset) -> bool:
    """Whether segments overlap, as the segmentation says itself (0062,0013)."""
    return bool(seg.get("SegmentsOverlap") == "YES")


def renamed(source: Dataset, seg_class_uid: str = LABELMAP_CLASS) -> Dataset:
    """A copy with a UID of its own, as it must have, that refers to what is there."""
    copied = deepcopy(source)
    _rename_references(copied, seg_class_uid)
    _rename(copied)
    return copied


def as_labelmap(seg: Dataset) -> Dataset:
    """The same segmentation with one frame a slice. Raises ResultError where segments overlap."""
    if max(int(item.SegmentNumber) for item in seg.SegmentSequence) > _MOST_SEGMENTS:
        raise ResultError("More segments than a label map of one byte holds.")
    planes = _planes(seg)
    made = renamed(seg)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID(LABELMAP_CLASS)
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SegmentationType, made.SegmentsOverlap = "LABELMAP", "NO"
    made.SegmentSequence = [_background(seg), *made.SegmentSequence]
    made.PhotometricInterpretation = "MONOCHROME2"
    made.add_new("PixelPaddingValue", "US", 0)
    made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    made.NumberOfFrames = len(planes)
    firsts = _first_frames(seg)
    groups = made.PerFrameFunctionalGroupsSequence
    made.PerFrameFunctionalGroupsSequence = [groups[firsts[at]] for at in planes]
    _drop_segment_dimension(made)
    pixels = np.stack(list(planes.values())).tobytes()
    made.PixelData = pixels + b"\0" * (len(pixels) % 2)
    made["PixelData"].VR = "OB"
    return made


def verify_labelmap(made: Dataset, seg: Dataset) -> None:
    """Raise RoundTripMismatch unless each segment has the same voxels at the same places in both.

    ``made`` is read again from disk, and its positions are those that it declares itself.
    """
    frames = _frames(made)
    places = [_position(group) for group in made.PerFrameFunctionalGroupsSequence]
    written = dict(zip(places, frames, strict=True))
    if len(written) != len(frames):
        raise RoundTripMismatch("Two frames of the label map lie at one place.")
    seen: dict[Position, Labels] = {at: np.zeros_like(frame) for at, frame in written.items()}
    for number, at, mask in _binary_frames(seg):
        if at not in written or not np.array_equal(written[at] == number, mask):
            raise RoundTripMismatch(f"Segment {number} differs between the label map and the SEG.")
        seen[at] |= mask
    if any((written[at][~mask.astype(bool)] != 0).any() for at, mask in seen.items()):
        raise RoundTripMismatch("The label map holds voxels that no segment has.")
    described = {int(item.SegmentNumber) for item in made.SegmentSequence}
    if not set(np.unique(frames).tolist()) <= described:
        raise RoundTripMismatch("The label map holds a number that it does not describe.")


def _planes(seg: Dataset) -> dict[Position, Labels]:
    """Label planes by position, in the order in which the positions first appear."""
    planes: dict[Position, Labels] = {}
    for number, at, mask in _binary_frames(seg):
        plane = planes.setdefault(at, np.zeros_like(mask))
        if (plane[mask == 1] != 0).any():
            raise ResultError("Two segments overlap: a label map can't hold them.")
        plane[mask == 1] = number
    return planes


def _binary_frames(seg: Dataset) -> Iterator[tuple[int, Position, Labels]]:
    groups = seg.PerFrameFunctionalGroupsSequence
    for group, mask in zip(groups, _frames(seg), strict=True):
        yield _segment_number(seg, group), _position(group), mask


def _frames(seg: Dataset) -> Labels:
    shape = (int(seg.NumberOfFrames), int(seg.Rows), int(seg.Columns))
    return np.asarray(seg.pixel_array, np.uint8).reshape(shape)


def _first_frames(seg: Dataset) -> dict[Position, int]:
    firsts: dict[Position, int] = {}
    for number, group in enumerate(seg.PerFrameFunctionalGroupsSequence):
        firsts.setdefault(_position(group), number)
    return firsts


def _segment_number(seg: Dataset, group: Dataset) -> int:
    shared = seg.SharedFunctionalGroupsSequence[0]
    item = group if "SegmentIdentificationSequence" in group else shared
    return int(item.SegmentIdentificationSequence[0].ReferencedSegmentNumber)


def _position(group: Dataset) -> Position:
    return tuple(float(x) for x in group.PlanePositionSequence[0].ImagePositionPatient)


def _background(seg: Dataset) -> SegmentDescription:
    """Number 0 has to be described like any other value of the pixels."""
    first = seg.SegmentSequence[0]
    algorithm = first.get("SegmentationAlgorithmIdentificationSequence")
    item = SegmentDescription(
        segment_number=1,
        segment_label="Background",
        segmented_property_category=codes.DCM.Background,
        segmented_property_type=codes.DCM.Background,
        algorithm_type=first.SegmentAlgorithmType,
        algorithm_identification=AlgorithmIdentificationSequence.from_sequence(algorithm),
    )
    item.SegmentNumber = 0
    del item.SegmentationAlgorithmIdentificationSequence
    return item


def _drop_segment_dimension(made: Dataset) -> None:
    """In a label map the pixels say which segment it is: no dimension, no functional group."""
    kept = [
        place
        for place, item in enumerate(made.DimensionIndexSequence)
        if item.DimensionIndexPointer != 0x0062000B
    ]
    made.DimensionIndexSequence = [made.DimensionIndexSequence[place] for place in kept]
    for group in (*made.SharedFunctionalGroupsSequence, *made.PerFrameFunctionalGroupsSequence):
        if "SegmentIdentificationSequence" in group:
            del group.SegmentIdentificationSequence
    for group in made.PerFrameFunctionalGroupsSequence:
        content = group.FrameContentSequence[0]
        values = list(np.atleast_1d(content.DimensionIndexValues))
        content.DimensionIndexValues = [int(values[place]) for place in kept]


def _rename(made: Dataset) -> None:
    made.SOPInstanceUID = labelmap_uid(made.SOPInstanceUID)
    made.SeriesInstanceUID = labelmap_uid(made.SeriesInstanceUID)
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID


def _rename_references(made: Dataset, seg_class_uid: str) -> None:
    for item in _items(made):
        sop_class = str(item.get("ReferencedSOPClassUID", ""))
        if sop_class.startswith(_OURS):
            item.ReferencedSOPClassUID = class_there(sop_class, seg_class_uid)
            item.ReferencedSOPInstanceUID = labelmap_uid(item.ReferencedSOPInstanceUID)
        listed = item.get("ReferencedSOPSequence", ())
        if "SeriesInstanceUID" in item and all(_is_ours(one) for one in listed) and listed:
            item.SeriesInstanceUID = labelmap_uid(item.SeriesInstanceUID)


def _is_ours(reference: Dataset) -> bool:
    # Renamed before or after: the class tells it either way.
    return str(reference.ReferencedSOPClassUID).startswith((*_OURS, LABELMAP_CLASS))


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Every sequence item at any depth, the outer ones first."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items(item)
