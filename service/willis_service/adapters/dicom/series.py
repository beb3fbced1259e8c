"""A DICOM series as the core needs it, with the headers that results must refer to."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom import Dataset

from willis_models.pipelines.base import InputImage


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
