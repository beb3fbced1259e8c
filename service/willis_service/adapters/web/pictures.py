"""The picture page: each level's original slice beside the annotated one, for screen and print."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from willis_models.findings import SegmentFinding
from willis_service.adapters.web.display import AxialView, extent
from willis_service.adapters.web.palette import LOOKS, Look

Floats = NDArray[np.float64]

WINDOW_WIDTH_HU = 40.0
WINDOW_LEVEL_HU = 40.0
_PANEL_PX = 640
_GAP_PX = 14
_SMALLEST_PX = 12
"""Text that would not fit its line is written smaller, never cut."""
_HEAD_PX = 52
_CAPTION_PX = 40
_FOOT_PX = 76
_HATCH_PX = 14
_SMOOTH_PIXELS = 0.8
_NEAR_PIXELS = 8.0
_BACKGROUND = (11, 13, 16)
_INK = (226, 230, 235)
_QUIET = (150, 158, 168)


@dataclass(frozen=True)
class Level:
    """One slice that is shown, with its name."""

    title: str
    slice_index: int


@dataclass(frozen=True)
class _Frame:
    """The part of a slice that is shown and how many picture points one millimetre takes."""

    rows: slice
    columns: slice
    px_per_mm: float
    size: tuple[int, int]


def picture(
    view: AxialView,
    levels: Sequence[Level],
    segments: Sequence[SegmentFinding],
    heading: str,
    statement: str,
) -> bytes:
    """The PNG of all levels, originals on the left, annotated slices on the right."""
    frame = _frame(view, levels)
    width, height = frame.size
    total_height = _HEAD_PX + len(levels) * (height + _CAPTION_PX) + _FOOT_PX
    page = Image.new("RGB", (2 * width + 3 * _GAP_PX, total_height), _BACKGROUND)
    _write(page, (_GAP_PX, 12), heading, 22, _INK)
    for number, level in enumerate(levels):
        top = _HEAD_PX + number * (height + _CAPTION_PX)
        original = _grey(view, level.slice_index, frame)
        annotated = _annotated(original, view, level.slice_index, frame, segments)
        for column, (panel, kind) in enumerate(((original, "original"), (annotated, "regions"))):
            left = _GAP_PX + column * (width + _GAP_PX)
            page.paste(_with_sides(panel), (left, top))
            caption = f"{level.title}, {kind}"
            _write(page, (left, top + height + 8), caption, 19, _INK)
    _foot(page, total_height - _FOOT_PX + 14, statement)
    return _png(page)


def message_picture(title: str, lines: Sequence[str]) -> bytes:
    """A PNG without an image: what is said where there is nothing to show."""
    height = 150 + 34 * sum(len(_wrapped(line)) for line in lines)
    page = Image.new("RGB", (1200, height), _BACKGROUND)
    _write(page, (48, 40), title, 36, _INK)
    top = 110
    for line in lines:
        for part in _wrapped(line):
            _write(page, (48, top), part, 20, _QUIET)
            top += 34
    return _png(page)


def _frame(view: AxialView, levels: Sequence[Level]) -> _Frame:
    """One scale for all panels, so that what is larger looks larger."""
    rows, columns = view.head_box([level.slice_index for level in levels])
    height_mm = (rows.stop - rows.start) * view.row_mm
    width_mm = (columns.stop - columns.start) * view.column_mm
    scale = _PANEL_PX / max(height_mm, width_mm)
    size = (max(round(width_mm * scale), 1), max(round(height_mm * scale), 1))
    return _Frame(rows, columns, scale, size)


def _grey(view: AxialView, k: int, frame: _Frame) -> Image.Image:
    hu = _enlarged(view.slab_hu(k)[frame.rows, frame.columns], frame)
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    shown = np.clip((hu - low) / WINDOW_WIDTH_HU, 0, 1)
    return Image.fromarray((shown * 255).round().astype(np.uint8)).convert("RGB")


def _enlarged(values: Floats, frame: _Frame) -> Floats:
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(frame.size, Image.Resampling.BICUBIC), dtype=np.float64)


def _annotated(
    original: Image.Image,
    view: AxialView,
    k: int,
    frame: _Frame,
    segments: Sequence[SegmentFinding],
) -> Image.Image:
    """Contours over the slice, the affected regions drawn last so that nothing hides them."""
    canvas = np.asarray(original, dtype=np.float64)
    labels = view.labels[k][frame.rows, frame.columns]
    names: list[tuple[tuple[float, float], str, Look]] = []
    for segment, look in _most_urgent_last(segments):
        mask = labels == segment.number
        if mask.any():
            inside = _enlarged(_signed_distance_mm(mask, view), frame) * frame.px_per_mm
            canvas = _drawn(canvas, inside, look)
            names.append((_innermost(inside), _short(segment), look))
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


def _signed_distance_mm(mask: NDArray[np.bool_], view: AxialView) -> Floats:
    """Distance to the region's edge, positive inside, smoothed so that no pixel steps show.

    Exact near the region, where the contour is drawn; elsewhere only known to be far outside.
    """
    steps = (view.row_mm, view.column_mm)
    near = extent(mask.any(axis=1), _NEAR_PIXELS), extent(mask.any(axis=0), _NEAR_PIXELS)
    part = mask[near]
    inside = ndimage.distance_transform_edt(part, sampling=steps)
    outside = ndimage.distance_transform_edt(~part, sampling=steps)
    signed = np.where(part, inside - min(steps) / 2, min(steps) / 2 - outside)
    everywhere = np.full(mask.shape, -_NEAR_PIXELS * min(steps))
    everywhere[near] = ndimage.gaussian_filter(signed, _SMOOTH_PIXELS)
    return everywhere


def _drawn(canvas: Floats, inside_px: Floats, look: Look) -> Floats:
    """The contour (and hatching) of one region, antialiased, blended over the canvas."""
    touched = inside_px > -look.width_px
    if not touched.any():  # smoothing left nothing of a region of a few voxels
        return canvas
    part = extent(touched.any(axis=1), 1), extent(touched.any(axis=0), 1)
    alpha = _coverage(inside_px[part], look)[..., None]
    drawn = canvas.copy()
    drawn[part] = canvas[part] * (1 - alpha) + np.array(look.colour) * alpha
    return drawn


def _coverage(inside_px: Floats, look: Look) -> Floats:
    """How much of each picture point the line or the hatching covers, 0 to 1."""
    line = np.clip(look.width_px / 2 + 0.5 - np.abs(inside_px), 0, 1)
    y, x = np.mgrid[: line.shape[0], : line.shape[1]]
    if look.dash_px:
        line = line * ((x + y) // look.dash_px % 2 | (x - y) // look.dash_px % 2)
    if look.hatched:
        across = np.abs((x + y) % _HATCH_PX - _HATCH_PX / 2)
        line = np.maximum(line, np.clip(1.1 - across, 0, 1) * (inside_px > 0) * 0.75)
    return np.asarray(line)


def _innermost(inside_px: Floats) -> tuple[float, float]:
    y, x = np.unravel_index(int(inside_px.argmax()), inside_px.shape)
    return float(x), float(y)


def _short(segment: SegmentFinding) -> str:
    """``left_M2`` as ``M2``: the side is where it lies."""
    return segment.key.partition("_")[2] or segment.key


def _label(image: Image.Image, place: tuple[float, float], name: str, look: Look) -> None:
    _outlined(ImageDraw.Draw(image), place, name, 17, look.colour, "mm")


def _outlined(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str,
) -> None:
    """Text that reads on bone and on air alike."""
    black = (0, 0, 0)
    draw.text(place, text, colour, _font(size), anchor, stroke_width=3, stroke_fill=black)


def _with_sides(panel: Image.Image) -> Image.Image:
    """Radiological convention, printed in every panel: R on the image's left side."""
    marked = panel.copy()
    draw = ImageDraw.Draw(marked)
    width, height = marked.size
    for x, letter, words, anchor in (
        (12, "R", "patient RIGHT", "l"),
        (width - 12, "L", "patient LEFT", "r"),
    ):
        for y, text, size, line in (
            (height / 2, letter, 30, "m"),
            (height - 12, words, 15, "s"),
        ):
            _outlined(draw, (x, y), text, size, _INK, anchor + line)
    return marked


def _foot(page: Image.Image, top: int, statement: str) -> None:
    left = float(_GAP_PX)
    for look in LOOKS.values():
        left = _swatch(page, (left, top), look)
    window = f"window W {WINDOW_WIDTH_HU:.0f} L {WINDOW_LEVEL_HU:.0f} HU"
    _write(page, (left + 8, top), window, 16, _QUIET)
    _write(page, (_GAP_PX, top + 30), statement, 15, _QUIET)


def _swatch(page: Image.Image, place: tuple[float, float], look: Look) -> float:
    """A sample of the look with its name; returns where the next one may begin."""
    width, height = 44, 20
    y, x = np.mgrid[:height, :width]
    inside = np.minimum.reduce([x, width - 1 - x, y, height - 1 - y]) - 3.0
    sample = _drawn(np.full((height, width, 3), _BACKGROUND, np.float64), inside, look)
    page.paste(Image.fromarray(sample.round().astype(np.uint8)), (int(place[0]), int(place[1])))
    _write(page, (place[0] + width + 8, place[1]), look.title, 16, _QUIET)
    return place[0] + width + 32 + ImageDraw.Draw(page).textlength(look.title, font=_font(16))


def _write(
    page: Image.Image,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
) -> None:
    draw = ImageDraw.Draw(page)
    room = page.width - place[0] - _GAP_PX
    while size > _SMALLEST_PX and draw.textlength(text, font=_font(size)) > room:
        size -= 1
    draw.text(place, text, font=_font(size), fill=colour)


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _wrapped(line: str, width: int = 100) -> list[str]:
    return textwrap.wrap(line, width) or [""]


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
