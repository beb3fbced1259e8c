"""Pixels: decoded file by file into one array in the modality's unit (HU for CT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from willis_models.errors import (
    ColourPixels,
    DecodingError,
    DuplicateSlices,
    LossyPixels,
    UnsuitableSeries,
)
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import SlicePlane, StackLayout

Array = NDArray[Any]

AIR_HU = -1024
# No tissue is darker: a padding value above this would erase what was measured.
_HIGHEST_PADDING_HU = -500
_INT16 = np.iinfo(np.int16)

_LOSSLESS_DECODERS = {
    ImplicitVRLittleEndian: "",
    ExplicitVRLittleEndian: "",
    DeflatedExplicitVRLittleEndian: "",
    ExplicitVRBigEndian: "",
    RLELossless: "pydicom",
    JPEGLossless: "pylibjpeg",
    JPEGLosslessSV1: "pylibjpeg",
    JPEGLSLossless: "pyjpegls",
    JPEG2000Lossless: "pylibjpeg",
    HTJ2KLossless: "pylibjpeg",
    HTJ2KLosslessRPCL: "pylibjpeg",
}
# One decoder each, and none else: given damaged pixels, GDCM aborts the whole process and
# pylibjpeg's RLE decoder panics; pydicom would try every one that is installed.
_DECODERS = {**_LOSSLESS_DECODERS, JPEG2000: "pylibjpeg", HTJ2K: "pylibjpeg"}


@dataclass(frozen=True)
class LoadedPixels:
    """The voxels (z, y, x) of a stack, and what had to be done to get them.

    ``padding_fraction`` is the part of the voxels set to air; ``refused_padding_hu`` a declared
    padding value that lies among tissue values and was therefore not applied.
    """

    voxels: Array
    duplicates_dropped: int = 0
    padding_fraction: float = 0.0
    refused_padding_hu: float | None = None


def is_colour(header: Dataset) -> bool:
    """Whether the pixels are colours rather than one measured value."""
    kind = headers.text(header, "PhotometricInterpretation") or "MONOCHROME2"
    return (headers.number(header, "SamplesPerPixel") or 1) > 1 or "MONOCHROME" not in kind


def is_lossy(header: Dataset) -> bool:
    """Whether lossy compression was ever applied: by its attribute or by its transfer syntax.

    JPEG 2000 and HTJ2K proper may be lossless inside; they count as lossless only if they say so.
    """
    stated = headers.text(header, "LossyImageCompression")
    syntax = transfer_syntax(header)
    if stated == "01" or syntax.is_private:
        return stated == "01"
    return syntax not in _LOSSLESS_DECODERS and stated != "00"


def transfer_syntax(header: Dataset) -> UID:
    """The transfer syntax in which the file was written, guessed from its encoding if unstated."""
    stated = headers.text(getattr(header, "file_meta", Dataset()), "TransferSyntaxUID")
    if stated is not None:
        return UID(stated)
    implicit, little = header.original_encoding
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def decoder_of(syntax: UID) -> str:
    """The one decoder for a transfer syntax; "" where pixels are native. Raises DecodingError."""
    if syntax not in _DECODERS:
        raise DecodingError(f"There is no decoder for the transfer syntax {syntax.name}.")
    return _DECODERS[syntax]


def check_pixels(datasets: Sequence[Dataset]) -> None:
    """Raise ColourPixels or LossyPixels before anything is decoded."""
    for header in datasets:
        if is_colour(header):
            raise ColourPixels("The images are in colour; they hold no measured density.")
        if is_lossy(header):
            raise LossyPixels(
                f"The images were compressed with loss ({transfer_syntax(header).name}): "
                "send them uncompressed or losslessly compressed."
            )


def load(listing: SeriesListing, layout: StackLayout) -> LoadedPixels:
    """Decode a series slice by slice into one array: int16 where exact, else float32.

    Raises DecodingError, DuplicateSlices, UnsuitableSeries.
    """
    planes = [plane for same in layout.positions for plane in same]
    slice_of = [k for k, same in enumerate(layout.positions) for _ in same]
    filling = _Filling(np.zeros(layout.shape, np.int16))
    for plane, k, stored in zip(planes, slice_of, decoded(listing, planes), strict=True):
        filling.put(k, stored, scale_of(listing.headers[plane.file], plane.frame))
    return LoadedPixels(
        voxels=filling.voxels,
        duplicates_dropped=len(planes) - len(layout.positions),
        padding_fraction=filling.padded / filling.voxels.size,
        refused_padding_hu=filling.refused_padding_hu,
    )


def decoded(listing: SeriesListing, planes: Sequence[SlicePlane]) -> Iterator[Array]:
    """The stored values of each plane in turn; files are opened one at a time.

    Raises DecodingError.
    """
    for file, run in groupby(planes, key=lambda plane: plane.file):
        wanted = list(run)
        frames = [plane.frame for plane in wanted]
        arrays = _decoded_frames(listing.files[file], listing.headers[file], frames)
        for plane, array in zip(wanted, arrays, strict=True):
            if array.shape != plane.matrix:
                raise DecodingError("An image's decoded size is not the one that it states.")
            yield array


def _decoded_frames(path: Path, header: Dataset, frames: Sequence[int]) -> Iterator[Array]:
    syntax = transfer_syntax(header)
    source, decoder = _pixel_source(path, header), decoder_of(syntax)
    try:
        yield from iter_pixels(source, indices=frames, raw=True, decoding_plugin=decoder)
    except MemoryError:
        raise
    # Each decoder behind pydicom raises errors of its own: all mean that the pixels can't be read.
    except Exception as error:
        raise DecodingError(
            f"The pixels of an image can't be decoded ({syntax.name}): "
            "send it again, or in another transfer syntax."
        ) from error


def _pixel_source(path: Path, header: Dataset) -> Path | Dataset:
    """The file, read frame by frame; or, where pydicom can't do that, its whole dataset.

    That is so where it is deflated, or has no meta part to name its transfer syntax.
    """
    syntax = transfer_syntax(header)
    is_stated = "TransferSyntaxUID" in getattr(header, "file_meta", ())
    if is_stated and syntax != DeflatedExplicitVRLittleEndian:
        return path
    dataset = dcmread(path, force=True)
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@dataclass(frozen=True)
class Scale:
    """From stored value to unit, and which stored values are padding (both ends included)."""

    slope: float
    intercept: float
    padding: tuple[float, float] | None
    has_air: bool

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()


def scale_of(header: Dataset, frame: int) -> Scale:
    """The scale of one image. Raises UnsuitableSeries where a CT image states none."""
    group = "PixelValueTransformationSequence"
    item = headers.group_item(header, group, "RescaleSlope", frame)
    slope = headers.number(item, "RescaleSlope")
    intercept = headers.number(item, "RescaleIntercept")
    is_ct = headers.text(header, "Modality") == "CT"
    if is_ct and (slope is None or intercept is None or slope <= 0):
        raise UnsuitableSeries(
            "The images don't say how their values become Hounsfield units "
            "(RescaleSlope, RescaleIntercept)."
        )
    padding = _padding(header) if is_ct else None
    return Scale(slope or 1.0, intercept or 0.0, padding, is_ct)


def _padding(header: Dataset) -> tuple[float, float] | None:
    value = headers.number(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = headers.number(header, "PixelPaddingRangeLimit")
    other = value if limit is None else limit
    return min(value, other), max(value, other)


@dataclass
class _Filling:
    """Takes slices one by one; becomes float32 with the first value that int16 can't hold."""

    voxels: Array
    padded: int = 0
    refused_padding_hu: float | None = None
    _last: int = -1

    def put(self, k: int, stored: Array, scale: Scale) -> None:
        """Put slice k; a second one for the same k must equal the first."""
        values, padded = self._in_units(stored, scale)
        if k == self._last:
            self._check_same(k, values)
            return
        if values.dtype != np.int16 and self.voxels.dtype == np.int16:
            self.voxels = self.voxels.astype(np.float32)
        self.voxels[k] = values
        self.padded += padded
        self._last = k

    def _in_units(self, stored: Array, scale: Scale) -> tuple[Array, int]:
        values, padded, refused_hu = in_units(stored, scale)
        if refused_hu is not None:
            self.refused_padding_hu = refused_hu
        return _narrowed(values), padded

    def _check_same(self, k: int, values: Array) -> None:
        if not np.array_equal(self.voxels[k], values):
            raise DuplicateSlices(
                f"Two different images lie at the position of slice {k + 1} of "
                f"{len(self.voxels)}: send one reconstruction only."
            )


def in_units(stored: Array, scale: Scale) -> tuple[Array, int, float | None]:
    """One image in the modality's unit, int32 where exact, else float32.

    Also how many of its voxels are padding and count as air, and a declared padding value (HU)
    that was not applied since it lies among tissue.
    """
    values = _rescaled(stored, scale)
    if not scale.has_air:
        return values, 0, None
    outside, refused_hu = values < AIR_HU, None
    if scale.padding is not None:
        low, high = scale.padding
        highest_hu = high * scale.slope + scale.intercept
        if highest_hu > _HIGHEST_PADDING_HU:
            refused_hu = highest_hu
        else:
            outside |= (stored >= low) & (stored <= high)
    values[outside] = AIR_HU
    return values, int(np.count_nonzero(outside)), refused_hu


def _rescaled(stored: Array, scale: Scale) -> Array:
    if scale.is_whole and stored.dtype.itemsize <= 2:
        return stored.astype(np.int32) * int(scale.slope) + int(scale.intercept)
    return stored.astype(np.float32) * np.float32(scale.slope) + np.float32(scale.intercept)


def _narrowed(values: Array) -> Array:
    """int16 where that loses nothing."""
    if values.dtype == np.int32 and values.min() >= _INT16.min and values.max() <= _INT16.max:
        return values.astype(np.int16)
    return values.astype(np.float32)
