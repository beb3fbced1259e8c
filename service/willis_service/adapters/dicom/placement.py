"""Where the frames of a written object lie, read as a stranger would read it.

Taken from the object's own functional groups, never from the stack that it was written from.
Shifts and flips by a voxel are the commonest fault of such objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_models.errors import RoundTripMismatch
from willis_service.adapters.dicom.series import DicomSeries

Floats = NDArray[np.float64]
Groups = Mapping[str, Dataset]

TOLERANCE_VOXELS = 0.5


@dataclass(frozen=True)
class Placement:
    """The geometry of one frame and the image that it says it was made of."""

    position_lps: Floats
    row_step_lps: Floats
    column_step_lps: Floats
    source_uid: str
    source_frame: int | None


def frame_groups(made: Dataset) -> Iterator[Groups]:
    """The first item of each functional group of each frame, its own before the shared ones."""
    shared = made.SharedFunctionalGroupsSequence[0]
    for own in made.PerFrameFunctionalGroupsSequence:
        yield {e.keyword: e.value[0] for group in (shared, own) for e in group if e.VR == "SQ"}


def placement(groups: Groups) -> Placement:
    """The placement that these functional groups declare."""
    cosines = np.array(groups["PlaneOrientationSequence"].ImageOrientationPatient, float)
    between_rows, between_columns = groups["PixelMeasuresSequence"].PixelSpacing
    source = groups["DerivationImageSequence"].SourceImageSequence[0]
    frame_number = source.get("ReferencedFrameNumber")
    return Placement(
        position_lps=np.array(groups["PlanePositionSequence"].ImagePositionPatient, float),
        row_step_lps=cosines[:3] * float(between_columns),
        column_step_lps=cosines[3:] * float(between_rows),
        source_uid=str(source.ReferencedSOPInstanceUID),
        source_frame=None if frame_number is None else int(frame_number),
    )


def slice_of(place: Placement, shape: tuple[int, ...], series: DicomSeries, what: str) -> int:
    """The slice on whose corners those of a frame of this shape fall.

    Raises RoundTripMismatch about ``what`` where there is none, or where the frame names another
    image than that of the slice.
    """
    stack = series.image.stack
    count, rows, columns = stack.shape
    if shape != (rows, columns):
        raise RoundTripMismatch(f"{what} has another matrix.")
    corners = np.array([(0, 0), (rows - 1, 0), (0, columns - 1)], float)
    world = place.position_lps + corners @ np.stack([place.column_step_lps, place.row_step_lps])
    index = stack.to_index(world)
    k = int(np.clip(np.rint(index[0, 0]), 0, count - 1))
    expected = np.column_stack([np.full(3, k), corners])
    if np.abs(index - expected).max() > TOLERANCE_VOXELS:
        raise RoundTripMismatch(f"{what} lies on no source slice.")
    if not _names_slice(place, series, k):
        raise RoundTripMismatch(f"{what} names another source image.")
    return k


def _names_slice(place: Placement, series: DicomSeries, k: int) -> bool:
    if series.frame_numbers is None:
        return place.source_uid == str(series.headers[k].SOPInstanceUID)
    is_same_object = place.source_uid == str(series.headers[0].SOPInstanceUID)
    return is_same_object and place.source_frame == series.frame_numbers[k]


def check_references(made: Dataset, series: DicomSeries, what: str) -> None:
    """The study, the frame of reference and exactly the analysed images. Raises as above."""
    source = series.headers[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if made.get(keyword) != source.get(keyword):
            raise RoundTripMismatch(f"{what} has another {keyword} than its source.")
    listed = {
        (str(item.SeriesInstanceUID), str(instance.ReferencedSOPInstanceUID))
        for item in made.ReferencedSeriesSequence
        for instance in item.ReferencedInstanceSequence
    }
    wanted = {(series.series_instance_uid, str(h.SOPInstanceUID)) for h in series.headers}
    if listed != wanted:
        raise RoundTripMismatch(f"{what} does not refer to exactly the analysed images.")
