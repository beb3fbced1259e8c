"""The source images of a result as highdicom is given them: one plane for each analysed slice."""

from __future__ import annotations

from pydicom import Dataset

from willis_service.adapters.dicom.result_headers import without_patient
from willis_service.adapters.dicom.series import DicomSeries

_FRAMES = 0x52009230  # PerFrameFunctionalGroupsSequence


def source_images(series: DicomSeries) -> list[Dataset]:
    """Headers without a patient, in stack order.

    Of a multi-frame object only the frames that were analysed, in stack order: one that holds
    every time point of a perfusion scan has many more. ``name_source_frames`` puts their own
    numbers back into what is made of them.
    """
    bare = [without_patient(header) for header in series.headers]
    if series.frame_numbers is not None:
        groups = bare[0].PerFrameFunctionalGroupsSequence
        chosen = [groups[number - 1] for number in series.frame_numbers]
        # Added anew: assigning would change the element that the copy shares with the header.
        bare[0].add_new(_FRAMES, "SQ", chosen)
        bare[0].add_new("NumberOfFrames", "IS", len(chosen))
    return bare


def name_source_frames(result: Dataset, series: DicomSeries) -> None:
    """Refer to the source object's own frame numbers; nothing to do for single images."""
    if series.frame_numbers is None:
        return
    for source in _sources(result):
        place = int(source.ReferencedFrameNumber)
        source.ReferencedFrameNumber = series.frame_numbers[place - 1]


def _sources(result: Dataset) -> list[Dataset]:
    """Each item once: highdicom lets the frames of several segments share them."""
    found = {
        id(source): source
        for group in (
            *result.SharedFunctionalGroupsSequence,
            *result.PerFrameFunctionalGroupsSequence,
        )
        for derivation in group.get("DerivationImageSequence", ())
        for source in derivation.SourceImageSequence
    }
    return list(found.values())
