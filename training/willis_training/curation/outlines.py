"""Hand-drawn outlines with gaps and specks, as point clouds in the patient and as filled areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Floats, SliceStack

Mask = NDArray[np.bool_]
_EIGHT = np.ones((3, 3), dtype=np.bool_)


@dataclass(frozen=True)
class Filling:
    """How an outline becomes an area.

    Pieces of fewer than ``speck_pixels`` are dropped. The outline is closed over growing distances
    ``closing_mm``; the first that encloses ``settled_share`` of what the widest encloses counts, so
    that a gap is bridged with as little rounding of corners as it needs. Less than ``min_area_mm2``
    is nothing.
    """

    speck_pixels: int
    closing_mm: tuple[float, ...]
    settled_share: float
    min_area_mm2: float


def points_lps(outline: Mask, stack: SliceStack, slice_index: int) -> Floats:
    """The set pixels of a slice (rows, columns) as points (n, 3) in the patient, LPS mm."""
    pixels = np.argwhere(outline)
    index = np.column_stack([np.full(len(pixels), slice_index), pixels])
    return stack.to_world(index.astype(np.float64))


def without_specks(outline: Mask, fewest_pixels: int) -> Mask:
    """The outline without its pieces of fewer pixels; pixels up to four apart are one piece.

    A shaky hand leaves lines in bits, which must not be taken for specks.
    """
    near = ndimage.binary_dilation(outline, _EIGHT, iterations=2)
    pieces, _ = ndimage.label(near, _EIGHT)
    sizes = np.bincount(pieces[outline], minlength=int(pieces.max()) + 1)
    return np.asarray(outline & (sizes >= fewest_pixels)[pieces])


def pieces_of(outline: Mask, pixel_mm: tuple[float, float], filling: Filling) -> list[Mask]:
    """The outlines that one plane holds: what lies further apart than gaps are wide."""
    line = without_specks(outline, filling.speck_pixels)
    near = ndimage.distance_transform_edt(~line, pixel_mm) <= max(filling.closing_mm) / 2
    pieces, count = ndimage.label(near, _EIGHT)
    return [np.asarray(line & (pieces == number)) for number in range(1, count + 1)]


def fill_outline(outline: Mask, pixel_mm: tuple[float, float], filling: Filling) -> Mask:
    """The area that an outline (rows, columns) encloses, the line itself included.

    Empty where the outline is too open for any of the closings. ``pixel_mm`` is the spacing between
    rows and between columns.
    """
    line = without_specks(outline, filling.speck_pixels)
    if not line.any():
        return line
    box = _around(line, pixel_mm, max(filling.closing_mm))
    areas = [_enclosed(line[box], pixel_mm, radius) for radius in sorted(filling.closing_mm)]
    sizes = [int(area.sum()) for area in areas]
    settled = next(n for n, size in enumerate(sizes) if size >= filling.settled_share * max(sizes))
    filled = np.zeros_like(line)
    if _is_area(areas[settled], pixel_mm, filling):
        filled[box] = areas[settled]
    return filled


def _is_area(area: Mask, pixel_mm: tuple[float, float], filling: Filling) -> bool:
    """An area is large enough, and mostly wider than the one pixel of a line left open."""
    size = int(area.sum())
    wide = int(ndimage.binary_opening(area, np.ones((2, 2))).sum())
    return size * pixel_mm[0] * pixel_mm[1] >= filling.min_area_mm2 and wide >= size / 2


def _around(line: Mask, pixel_mm: tuple[float, float], margin_mm: float) -> tuple[slice, slice]:
    """A box around the line with room for the closing."""
    sides = []
    for axis, step in enumerate(pixel_mm):
        hits = np.flatnonzero(line.any(axis=1 - axis))
        margin = int(np.ceil(margin_mm / step)) + 2
        sides.append(slice(max(int(hits[0]) - margin, 0), int(hits[-1]) + margin + 1))
    return sides[0], sides[1]


def _enclosed(line: Mask, pixel_mm: tuple[float, float], radius_mm: float) -> Mask:
    """Thicken the line, fill what it surrounds, take the thickening away again; largest piece."""
    near = ndimage.distance_transform_edt(~line, pixel_mm) <= radius_mm
    full = np.pad(ndimage.binary_fill_holes(near), 1)
    deep = ndimage.distance_transform_edt(full, pixel_mm)[1:-1, 1:-1] > radius_mm
    inner: Mask = np.asarray(deep, dtype=np.bool_)
    pieces, count = ndimage.label(inner)
    if count == 0:
        return inner
    return np.asarray(pieces == np.argmax(np.bincount(pieces.ravel())[1:]) + 1)


def interpolate_skipped(
    areas: Sequence[Mask | None], distances_mm: Floats, max_skipped_mm: float
) -> list[Mask | None]:
    """Areas of the slices between two outlined ones, by signed distance (shape-based).

    ``areas`` one for each slice, None where nothing was drawn; ``distances_mm`` the position of
    each slice. Neighbours further apart than ``max_skipped_mm`` are left unconnected.
    """
    drawn = [k for k, area in enumerate(areas) if area is not None]
    answer = list(areas)
    for low, high in pairwise(drawn):
        step_mm = float(distances_mm[high] - distances_mm[low])
        if high - low < 2 or step_mm > max_skipped_mm:
            continue
        below, above = (_signed_distance(areas[k]) for k in (low, high))
        for k in range(low + 1, high):
            weight = float(distances_mm[k] - distances_mm[low]) / step_mm
            answer[k] = (1 - weight) * below + weight * above > 0
    return answer


def _signed_distance(area: Mask | None) -> NDArray[np.float64]:
    """Positive inside, in pixels."""
    if area is None:
        raise ValueError("a slice without an area has no distance")
    inside = ndimage.distance_transform_edt(area)
    return np.asarray(inside - ndimage.distance_transform_edt(~area))
