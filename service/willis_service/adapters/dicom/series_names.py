"""What a series is called in reasons: by number and kind, never by its description."""

from __future__ import annotations

from willis_service.adapters.dicom.files import SeriesListing


def kind_of(listing: SeriesListing) -> str:
    """``CT, 32 images``."""
    if not listing.is_readable:
        return _counted(len(listing.files), "file")
    return f"{listing.modality or 'unknown modality'}, {_counted(listing.image_count, 'image')}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def called(listing: SeriesListing) -> str:
    """``Series 2 (CT, 32 images)``."""
    number = listing.series_number
    name = "Series without number" if number is None else f"Series {number}"
    return f"{name if listing.is_readable else 'Other'} ({kind_of(listing)})"
