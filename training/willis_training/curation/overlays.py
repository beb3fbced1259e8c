"""Overlay planes of DICOM images (groups 6000-601E) as masks on the image's own pixels.

PS3.3 C.9.2 and PS3.5 8.1.2: bit-packed OverlayData, or, retired since 2004 and still in archives,
one of the unused high bits of the stored pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.tag import Tag

from willis_models.errors import DecodingError

Mask = NDArray[np.bool_]

GROUPS = tuple(range(0x6000, 0x6020, 2))
_ROWS, _COLUMNS, _FRAMES, _DESCRIPTION = 0x0010, 0x0011, 0x0015, 0x0022
_TYPE, _ORIGIN, _BITS_ALLOCATED, _BIT_POSITION = 0x0040, 0x0050, 0x0100, 0x0102
_LABEL, _DATA = 0x1500, 0x3000


@dataclass(frozen=True)
class OverlayPlane:
    """One plane: what it is called, and its set pixels on the image's rows and columns.

    ``kind`` is "G" (graphics) or "R" (region of interest), PS3.3 C.9.2.1.1.
    """

    group: int
    name: str
    kind: str
    mask: Mask


def overlay_planes(image: Dataset) -> tuple[OverlayPlane, ...]:
    """The overlay planes of a single-frame image, in the order of their groups.

    Raises DecodingError where a plane is announced and its bits are not there.
    """
    return tuple(_plane(image, group) for group in GROUPS if Tag(group, _ROWS) in image)


def _plane(image: Dataset, group: int) -> OverlayPlane:
    bits = _packed(image, group) if Tag(group, _DATA) in image else _embedded(image, group)
    names = (_text(image, group, _LABEL), _text(image, group, _DESCRIPTION))
    return OverlayPlane(
        group=group,
        name=next((name for name in names if name), ""),
        kind=_text(image, group, _TYPE).upper() or "G",
        mask=_on_image(bits, _origin(image, group), (int(image.Rows), int(image.Columns))),
    )


def _value(image: Dataset, group: int, element: int, default: Any) -> Any:
    found = image.get(Tag(group, element))
    return default if found is None or found.value in (None, "") else found.value


def _text(image: Dataset, group: int, element: int) -> str:
    return str(_value(image, group, element, "")).strip()


def _origin(image: Dataset, group: int) -> tuple[int, int]:
    """(row, column) of the plane's first pixel on the image, from 0; may lie outside of it."""
    row, column = _value(image, group, _ORIGIN, (1, 1))
    return int(row) - 1, int(column) - 1


def _packed(image: Dataset, group: int) -> Mask:
    """One bit a pixel, the lowest bit of each byte first; frames of one plane are joined."""
    rows, columns = (int(_value(image, group, e, 0)) for e in (_ROWS, _COLUMNS))
    frames = int(_value(image, group, _FRAMES, 1))
    wanted = frames * rows * columns
    raw = np.frombuffer(_value(image, group, _DATA, b""), dtype=np.uint8)
    if raw.size * 8 < wanted or wanted <= 0:
        raise DecodingError(
            f"Overlay {group:04X} of an image holds {raw.size * 8} bits; {wanted} are announced."
        )
    bits = np.unpackbits(raw, bitorder="little")[:wanted]
    return np.asarray(bits.reshape(frames, rows, columns).any(axis=0))


def _embedded(image: Dataset, group: int) -> Mask:
    """The bit of each stored pixel at OverlayBitPosition."""
    allocated = int(_value(image, group, _BITS_ALLOCATED, 0))
    position = int(_value(image, group, _BIT_POSITION, 0))
    syntax = image.file_meta.TransferSyntaxUID
    if allocated not in (8, 16) or position >= allocated or syntax.is_encapsulated:
        raise DecodingError(
            f"Overlay {group:04X} of an image has no data of its own, and none in its pixels."
        )
    order = "<" if syntax.is_little_endian else ">"
    stored = np.frombuffer(image.PixelData, dtype=f"{order}u{allocated // 8}")
    pixels = stored[: image.Rows * image.Columns].reshape(image.Rows, image.Columns)
    return np.asarray((pixels >> position) & 1, dtype=np.bool_)


def _on_image(bits: Mask, origin: tuple[int, int], shape: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, dtype=np.bool_)
    here, there = zip(
        *(
            _shared(start, size, limit)
            for start, size, limit in zip(origin, bits.shape, shape, strict=True)
        ),
        strict=True,
    )
    mask[here] = bits[there]
    return mask


def _shared(start: int, size: int, limit: int) -> tuple[slice, slice]:
    """Along one axis: where plane and image meet, on the image and on the plane."""
    low, high = min(max(start, 0), limit), max(min(start + size, limit), 0)
    high = max(high, low)
    return slice(low, high), slice(low - start, high - start)
