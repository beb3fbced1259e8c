"""One DICOM series to native slices in the modality's unit, with what was found on the way.

Nothing is resampled here: gantry tilt and uneven steps stay in the stack's own geometry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from willis_models.errors import DecodingError, NoSuitableSeries
from willis_models.findings import QualityItem
from willis_models.pipelines.base import InputImage
from willis_models.volume import SliceStack
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.acquisition import acquisition_of, gantry_tilt_deg, kernel
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.geometry import StackLayout, lay_out
from willis_service.adapters.dicom.kernels import sharpness
from willis_service.adapters.dicom.pixels import LoadedPixels, check_pixels, load
from willis_service.adapters.dicom.series import DicomSeries, check_one_object, sources_of

_TILT_FROM_DEG = 0.5
_TILT_AGREES_DEG = 1.0
_UNEVEN_MM = 0.1
_UNEVEN_FRACTION = 0.05


def read_series(source: SeriesListing | Iterable[Path]) -> DicomSeries:
    """Read one series. Its slices come ordered along their normal (row x column).

    Raises DecodingError, ColourPixels, LossyPixels, UnsuitableSeries and the leaves of
    GeometryError. What could be put right is a quality item in ``acquisition.source_items``.
    """
    listing = source if isinstance(source, SeriesListing) else _only_series(scan(source))
    check_pixels(listing.headers)
    check_one_object(listing.headers)
    layout = lay_out(listing.headers, listing.modality)
    loaded = load(listing, layout)
    stack = SliceStack(
        loaded.voxels, layout.origins_lps, layout.row_step_lps, layout.column_step_lps
    )
    items = tuple(quality_items(listing, layout, loaded, stack))
    acquisition = acquisition_of(listing.headers, thickness_mm(layout), items)
    used, numbers = sources_of(listing.headers, [same[0] for same in layout.positions])
    return DicomSeries(InputImage(stack, acquisition), used, numbers)


def _only_series(listings: tuple[SeriesListing, ...]) -> SeriesListing:
    readable = [listing for listing in listings if listing.is_readable]
    if not readable:
        raise DecodingError("None of the files is a DICOM file.")
    if len(readable) > 1:
        raise NoSuitableSeries(f"The files hold {len(readable)} series where one is expected.")
    return readable[0]


def thickness_mm(layout: StackLayout) -> float | None:
    """The largest slice thickness of the series: the one that the limits are about."""
    stated = [same[0].thickness_mm for same in layout.positions]
    return max((one for one in stated if one is not None), default=None)


def quality_items(
    listing: SeriesListing, layout: StackLayout, loaded: LoadedPixels, stack: SliceStack
) -> Iterator[QualityItem]:
    """What was found on the way and could be put right, or is worth a warning."""
    header = listing.headers[0]
    if len(layout.positions) > 1:
        yield from _tilt_items(stack.tilt_deg, gantry_tilt_deg(header))
        yield from _step_items(stack)
    yield from _pixel_items(loaded)
    if headers.age_years(header) is None:
        yield QualityItem(
            code="PATIENT_AGE_UNKNOWN",
            outcome="warn",
            message="The images don't say how old the patient is; "
            "the analysis is meant for adults.",
        )
    if sharpness(kernel(header)) == "sharp":
        yield QualityItem(
            code="SHARP_KERNEL",
            outcome="warn",
            message=f"Reconstructed with a sharp kernel ({kernel(header)}): "
            "more noise than in a soft-tissue reconstruction.",
        )


def _tilt_items(measured_deg: float, stated_deg: float | None) -> Iterator[QualityItem]:
    """Positions decide; the stated tilt is only compared, without its sign."""
    if measured_deg >= _TILT_FROM_DEG:
        yield QualityItem(
            code="GANTRY_TILT_CORRECTED",
            outcome="pass",
            message=f"Gantry tilt of {measured_deg:.1f} degrees, taken into account.",
            value=round(measured_deg, 2),
            unit="deg",
        )
    if stated_deg is not None and abs(abs(stated_deg) - measured_deg) > _TILT_AGREES_DEG:
        yield QualityItem(
            code="GANTRY_TILT_DISAGREES",
            outcome="warn",
            message=f"The header states a gantry tilt of {stated_deg:.1f} degrees, the slices "
            f"lie at {measured_deg:.1f} degrees; the slices' positions were used.",
            value=round(measured_deg, 2),
            unit="deg",
        )


def _step_items(stack: SliceStack) -> Iterator[QualityItem]:
    steps_mm = stack.slice_steps_mm
    spread_mm = float(np.ptp(steps_mm))
    if spread_mm > max(_UNEVEN_MM, _UNEVEN_FRACTION * float(np.median(steps_mm))):
        yield QualityItem(
            code="SLICE_STEPS_UNEVEN",
            outcome="warn",
            message=f"The slice steps vary from {steps_mm.min():.2f} to {steps_mm.max():.2f} mm; "
            "each slice was used at its true position.",
            value=round(spread_mm, 2),
            unit="mm",
        )


def _pixel_items(loaded: LoadedPixels) -> Iterator[QualityItem]:
    if loaded.duplicates_dropped:
        yield QualityItem(
            code="DUPLICATE_SLICES_DROPPED",
            outcome="warn",
            message=f"{loaded.duplicates_dropped} exact copies of slices were left out.",
            value=loaded.duplicates_dropped,
        )
    if loaded.padding_fraction > 0:
        percent = 100 * loaded.padding_fraction
        yield QualityItem(
            code="PADDING_REPLACED",
            outcome="pass",
            message=f"{percent:.1f}% of the voxels are padding outside the scanned field "
            "and count as air.",
            value=round(percent, 2),
            unit="%",
        )
    if loaded.refused_padding_hu is not None:
        yield QualityItem(
            code="PADDING_VALUE_IGNORED",
            outcome="warn",
            message=f"The declared padding value ({loaded.refused_padding_hu:g} HU) lies among "
            "tissue values and was not applied.",
            value=loaded.refused_padding_hu,
            unit="[hnsf'U]",
        )
