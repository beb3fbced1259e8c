"""The picture page: each level's original slice beside the annotated one, for screen and print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from willis_models.findings import SegmentFinding
from willis_service.adapters.web.display import AxialView
from willis_service.adapters.web.drawing import (
    BACKGROUND,
    GAP_PX,
    INK,
    QUIET,
    Frame,
    drawn,
    enlarged,
    frame_of,
    innermost,
    outlined,
    png,
    signed_distance_mm,
    swatch,
    with_sides,
    write,
)
from willis_service.adapters.web.palette import LOOKS, Look

Floats = NDArray[np.float64]

WINDOW_WIDTH_HU = 40.0
WINDOW_LEVEL_HU = 40.0
_PANEL_PX = 640
_HEAD_PX = 52
_CAPTION_PX = 40
_FOOT_PX = 76


@dataclass(frozen=True)
class Level:
    """One slice that is shown, with its name."""

    title: str
    slice_index: int


def picture(
    view: AxialView,
    levels: Sequence[Level],
    segments: Sequence[SegmentFinding],
    heading: str,
    statement: str,
) -> bytes:
    """The PNG of all levels, originals on the left, annotated slices on the right."""
    frame = frame_of(view, [level.slice_index for level in levels], _PANEL_PX)
    width, height = frame.size
    total_height = _HEAD_PX + len(levels) * (height + _CAPTION_PX) + _FOOT_PX
    page = Image.new("RGB", (2 * width + 3 * GAP_PX, total_height), BACKGROUND)
    write(page, (GAP_PX, 12), heading, 22, INK)
    for number, level in enumerate(levels):
        top = _HEAD_PX + number * (height + _CAPTION_PX)
        original = _grey(view, level.slice_index, frame)
        annotated = _annotated(original, view, level.slice_index, frame, segments)
        for column, (panel, kind) in enumerate(((original, "original"), (annotated, "regions"))):
            left = GAP_PX + column * (width + GAP_PX)
            page.paste(with_sides(panel), (left, top))
            caption = f"{level.title}, {kind}"
            write(page, (left, top + height + 8), caption, 19, INK)
    _foot(page, total_height - _FOOT_PX + 14, statement)
    return png(page)


def _grey(view: AxialView, k: int, frame: Frame) -> Image.Image:
    hu = enlarged(view.slab_hu(k)[frame.rows, frame.columns], frame)
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    shown = np.clip((hu - low) / WINDOW_WIDTH_HU, 0, 1)
    return Image.fromarray((shown * 255).round().astype(np.uint8)).convert("RGB")


def _annotated(
    original: Image.Image,
    view: AxialView,
    k: int,
    frame: Frame,
    segments: Sequence[SegmentFinding],
) -> Image.Image:
    """Contours over the slice, the affected regions drawn last so that nothing hides them."""
    canvas = np.asarray(original, dtype=np.float64)
    labels = view.labels[k][frame.rows, frame.columns]
    names: list[tuple[tuple[float, float], str, Look]] = []
    for segment, look in _most_urgent_last(segments):
        mask = labels == segment.number
        if mask.any():
            inside = enlarged(signed_distance_mm(mask, view), frame) * frame.px_per_mm
            canvas = drawn(canvas, inside, look)
            names.append((innermost(inside), _short(segment), look))
    image = Image.fromarray(canvas.round().astype(np.uint8))
    for place, name, look in names:
        _label(image, place, name, look)
    return image


def _most_urgent_last(segments: Sequence[SegmentFinding]) -> list[tuple[SegmentFinding, Look]]:
    return [
        (segment, look)
        for state, look in reversed(LOOKS.items())
        for segment in segments
        if segment.state == state
    ]


def _short(segment: SegmentFinding) -> str:
    """``left_M2`` as ``M2``: the side is where it lies."""
    return segment.key.partition("_")[2] or segment.key


def _label(image: Image.Image, place: tuple[float, float], name: str, look: Look) -> None:
    outlined(ImageDraw.Draw(image), place, name, 17, look.colour, "mm")


def _foot(page: Image.Image, top: int, statement: str) -> None:
    left = float(GAP_PX)
    for look in LOOKS.values():
        left = swatch(page, (left, top), look)
    window = f"window W {WINDOW_WIDTH_HU:.0f} L {WINDOW_LEVEL_HU:.0f} HU"
    write(page, (left + 8, top), window, 16, QUIET)
    write(page, (GAP_PX, top + 30), statement, 15, QUIET)
