"""Outlines as readers drew them into overlay planes: one pixel wide, shaky, gaps and specks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.tag import Tag
from scipy import ndimage

from willis_models.codes import ASPECTS_REGIONS

Mask = NDArray[np.bool_]
FIRST_GROUP, MOST_PLANES = 0x6000, 16
SIDES = ("left", "right")


@dataclass(frozen=True)
class Hand:
    """How a reader draws.

    Each outline has ``gaps`` of ``gap_mm`` on average, ``shaken_share`` of its pixels one pixel
    off and ``specks`` stray pixels; a region is forgotten on ``forgotten_share`` of its slices.
    """

    gaps: int = 3
    gap_mm: float = 4.0
    shaken_share: float = 0.1
    specks: int = 4
    forgotten_share: float = 0.1
    fewest_pixels: int = 12


def draw_outlines(
    regions: NDArray[np.uint8], pixel_mm: float, hand: Hand, rng: np.random.Generator
) -> list[tuple[str, Mask]]:
    """The outlines on one slice (rows, columns) of labels 0-20: names such as "M1 L" and masks.

    A slice with more regions than planes loses the last ones, as PS3.5 7.6 allows sixteen.
    """
    drawn = []
    for label in np.unique(regions[regions > 0]).tolist():
        area = regions == label
        if area.sum() >= hand.fewest_pixels and rng.random() >= hand.forgotten_share:
            drawn.append((_name(label), _draw(area, pixel_mm, hand, rng)))
    return drawn[:MOST_PLANES]


def _name(label: int) -> str:
    side, region = divmod(label - 1, len(ASPECTS_REGIONS))
    return f"{ASPECTS_REGIONS[region]} {SIDES[side][0].upper()}"


def _draw(area: Mask, pixel_mm: float, hand: Hand, rng: np.random.Generator) -> Mask:
    outline = area & ~ndimage.binary_erosion(area)
    pixels = np.argwhere(outline)
    centres = pixels[rng.integers(0, len(pixels), hand.gaps)]
    reach = rng.uniform(0.5, 1.5, hand.gaps) * hand.gap_mm / 2 / pixel_mm
    distance = np.linalg.norm(pixels[:, None] - centres[None], axis=-1)
    kept = pixels[(distance > reach).all(axis=1)]
    shaken = rng.random(len(kept)) < hand.shaken_share
    kept = kept + shaken[:, None] * rng.integers(-1, 2, (len(kept), 2))
    specks = rng.integers(0, area.shape, (hand.specks, 2))
    drawn = np.zeros_like(area)
    drawn[tuple(np.clip(np.vstack([kept, specks]), 0, np.array(area.shape) - 1).T)] = True
    return drawn


def put_overlays(image: Dataset, drawn: list[tuple[str, Mask]]) -> None:
    """Write planes into an image, each cropped to what it holds, as bits (PS3.3 C.9.2)."""
    for number, (name, mask) in enumerate(drawn):
        group = FIRST_GROUP + 2 * number
        rows, columns = (_extent(mask, axis) for axis in range(2))
        for element, vr, value in _elements(name, mask[rows, columns], (rows.start, columns.start)):
            image.add_new(Tag(group, element), vr, value)


def _extent(mask: Mask, axis: int) -> slice:
    hits = np.flatnonzero(mask.any(axis=1 - axis))
    return slice(int(hits[0]), int(hits[-1]) + 1)


def _elements(name: str, part: Mask, origin: tuple[int, int]) -> Iterator[tuple[int, str, object]]:
    bits = np.packbits(part.ravel(), bitorder="little").tobytes()
    yield 0x0010, "US", part.shape[0]
    yield 0x0011, "US", part.shape[1]
    yield 0x0040, "CS", "G"
    yield 0x0050, "SS", [origin[0] + 1, origin[1] + 1]
    yield 0x0100, "US", 1
    yield 0x0102, "US", 0
    yield 0x1500, "LO", name
    yield 0x3000, "OW", bits + b"\0" * (len(bits) % 2)
