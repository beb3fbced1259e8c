"""Pixels for readers: frames as stored or decoded, whole objects in plain encoding, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
)

from willis_models.errors import DecodingError, UnknownObject
from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.header_json import PIXEL_TAGS, pixel_element
from willis_service.adapters.dicom.pixels import decoder_of, transfer_syntax
from willis_service.application.ports.studies import Frames

# Lossy, and therefore never analysed; to look at, they are decoded all the same.
_TO_LOOK_AT = {
    JPEGBaseline8Bit: "pylibjpeg",
    JPEGExtended12Bit: "pylibjpeg",
    JPEGLSNearLossless: "pyjpegls",
}
_PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG"}


@dataclass(frozen=True)
class DicomPixels:
    """Serves the port PixelReader."""

    def frames(self, path: Path, numbers: Sequence[int], decoded: bool) -> Frames:
        """Frames by number, from 1. Raises UnknownObject or DecodingError."""
        header = _image_header(path)
        if not all(1 <= number <= headers.frame_count(header) for number in numbers):
            raise UnknownObject("The object has no such frame.")
        syntax = transfer_syntax(header)
        if syntax.is_encapsulated and not decoded:
            return Frames(str(syntax), _begun(_stored_frames(path, header, numbers)))
        return Frames(str(ExplicitVRLittleEndian), _begun(_native_frames(path, header, numbers)))

    def bulk(self, path: Path, tag: str) -> bytes:
        """A long value of the data set; pixel data comes decoded."""
        if tag in PIXEL_TAGS:
            header = _image_header(path)
            if pixel_element(header)[0] != tag:
                raise UnknownObject("The object has no such value.")
            numbers = range(1, headers.frame_count(header) + 1)
            if headers.number(header, "BitsAllocated") == 1:
                return _bits(path, header)
            return b"".join(_native_frames(path, header, numbers))
        with _decoding():
            found = dcmread(path, stop_before_pixels=True, force=True).get(Tag(tag))
        if found is None or not isinstance(found.value, bytes):
            raise UnknownObject("The object has no such value.")
        return found.value

    def rendered(self, path: Path, frame: int, media_type: str) -> bytes:
        """One frame as a picture, windowed as its header says; ``image/png`` or ``image/jpeg``."""
        header = _image_header(path)
        if not 1 <= frame <= headers.frame_count(header):
            raise UnknownObject("The object has no such frame.")
        with _decoding():
            pixels = next(iter(_arrays(path, header, [frame - 1], raw=False)))
            picture = Image.fromarray(_displayed(pixels, header, frame))
        stream = BytesIO()
        picture.save(stream, _PICTURES[media_type])
        return stream.getvalue()

    def plain(self, path: Path) -> bytes:
        """The object as a file in Explicit VR Little Endian. Raises DecodingError."""
        with _decoding():
            dataset = dcmread(path, force=True)
            syntax = transfer_syntax(dataset)
            if syntax == ExplicitVRBigEndian:
                raise DecodingError("Big-endian objects are given out as they are stored only.")
            if syntax.is_encapsulated:
                dataset.decompress(
                    decoding_plugin=_decoder(syntax), as_rgb=False, generate_instance_uid=False
                )
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            stream = BytesIO()
            dataset.save_as(stream, implicit_vr=False, little_endian=True, enforce_file_format=True)
        return stream.getvalue()


def _image_header(path: Path) -> Dataset:
    with _decoding():
        header = dcmread(path, stop_before_pixels=True, force=True)
    if "Rows" not in header:
        raise DecodingError("The object holds no pixels.")
    return header


def _begun(frames: Iterator[bytes]) -> Iterator[bytes]:
    """The same frames. What can't be decoded at all fails here, before an answer has begun."""
    return chain([next(frames)], frames)


def _decoder(syntax: UID) -> str:
    return _TO_LOOK_AT.get(syntax) or decoder_of(syntax)


def _stored_frames(path: Path, header: Dataset, numbers: Sequence[int]) -> Iterator[bytes]:
    count = headers.frame_count(header)
    with _decoding():
        stored = dcmread(path, force=True)
        # One after the other, as they are asked for; a viewer asks for one or for neighbours.
        kept = dict(_numbered(generate_frames(stored.PixelData, number_of_frames=count), numbers))
    yield from (kept[number] for number in numbers)


def _numbered(frames: Iterator[bytes], numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    wanted = set(numbers)
    for number, frame in enumerate(frames, start=1):
        if number in wanted:
            yield number, frame
        if number >= max(wanted):
            return


def _native_frames(path: Path, header: Dataset, numbers: Sequence[int]) -> Iterator[bytes]:
    is_bits = headers.number(header, "BitsAllocated") == 1
    with _decoding():
        for pixels in _arrays(path, header, [number - 1 for number in numbers], raw=True):
            if is_bits:  # PS3.18 8.7.3.3: each frame begins on a byte
                yield np.packbits(pixels.ravel(), bitorder="little").tobytes()
            else:
                yield pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def _bits(path: Path, header: Dataset) -> bytes:
    """One-bit frames as PixelData holds them: without a gap between them."""
    with _decoding():
        indices = list(range(headers.frame_count(header)))
        frames = [one.ravel() for one in _arrays(path, header, indices, raw=True)]
    return np.packbits(np.concatenate(frames), bitorder="little").tobytes()


def _arrays(
    path: Path, header: Dataset, indices: Sequence[int], raw: bool
) -> Iterator[NDArray[Any]]:
    syntax = transfer_syntax(header)
    source = dcmread(path, force=True) if syntax.is_deflated else path
    return iter_pixels(source, indices=indices, raw=raw, decoding_plugin=_decoder(syntax))


def _displayed(pixels: NDArray[Any], header: Dataset, frame: int) -> NDArray[np.uint8]:
    """Eight bits to look at: the header's first window, else everything from dark to bright."""
    if pixels.ndim == 3:
        return pixels.astype(np.uint8)
    rescale = headers.group_item(
        header, "PixelValueTransformationSequence", "RescaleSlope", frame - 1
    )
    values = np.asarray(apply_modality_lut(pixels, rescale), float)
    low, high = _window(header, frame) or (float(values.min()), float(values.max()))
    shown = np.clip((values - low) / max(high - low, 1e-6), 0, 1)
    if headers.text(header, "PhotometricInterpretation") == "MONOCHROME1":
        shown = 1 - shown
    return np.round(shown * 255).astype(np.uint8)


def _window(header: Dataset, frame: int) -> tuple[float, float] | None:
    """The values shown black and white (PS3.3 C.11.2.1.2.1)."""
    item = headers.group_item(header, "FrameVOILUTSequence", "WindowCenter", frame - 1)
    centre, width = headers.number(item, "WindowCenter"), headers.number(item, "WindowWidth")
    if centre is None or width is None or width < 1:
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except (DecodingError, UnknownObject, MemoryError):
        raise
    # Each decoder behind pydicom raises errors of its own: all mean that it can't be read.
    except Exception as error:
        raise DecodingError("The object's pixels can't be read in the wanted form.") from error
