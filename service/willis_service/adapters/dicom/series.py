"""A DICOM series as the core needs it, with the headers that results must refer to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from willis_models.errors import GeometryError
from willis_models.pipelines.base import InputImage
from willis_service.adapters.dicom import headers as stated
from willis_service.adapters.dicom.geometry import SlicePlane

Sources = tuple[tuple[Dataset, ...], tuple[int, ...] | None]
"""``headers`` and ``frame_numbers`` of a series."""


@dataclass(frozen=True)
class DicomSeries:
    """One image series: native slices in stack order, and their source headers.

    ``headers`` hold no pixel data: one for each slice, in stack order, or a single one for an
    enhanced multi-frame object; then ``frame_numbers`` gives the 1-based frame of each slice.
    """

    image: InputImage
    headers: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] | None = None

    @property
    def study_instance_uid(self) -> str:
        """StudyInstanceUID (0020,000D)."""
        return str(self.headers[0].StudyInstanceUID)

    @property
    def series_instance_uid(self) -> str:
        """SeriesInstanceUID (0020,000E)."""
        return str(self.headers[0].SeriesInstanceUID)

    @property
    def is_multiframe(self) -> bool:
        """Whether the slices are frames of one object."""
        return self.frame_numbers is not None


def check_one_object(every: Sequence[Dataset]) -> None:
    """Raise GeometryError for a series of several multi-frame objects."""
    if len(every) > 1 and any(map(stated.is_enhanced, every)):
        raise GeometryError("The series is split over several multi-frame objects.")


def sources_of(every: Sequence[Dataset], planes: Sequence[SlicePlane]) -> Sources:
    """The headers that the slices in ``planes`` came from, in their order.

    Raises GeometryError where they are frames of several multi-frame objects: results name one.
    """
    if not any(map(stated.is_enhanced, every)):
        return tuple(every[plane.file] for plane in planes), None
    files = {plane.file for plane in planes}
    if len(files) > 1:
        raise GeometryError("A time point of the series is split over several multi-frame objects.")
    return (every[files.pop()],), tuple(plane.frame + 1 for plane in planes)
