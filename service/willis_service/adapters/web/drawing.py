"""What every picture of the report is drawn with: frames, contours, text, patient sides."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from willis_service.adapters.web.display import AxialView, extent
from willis_service.adapters.web.palette import Look

Floats = NDArray[np.float64]

GAP_PX = 14
_SMALLEST_PX = 12
"""Text that would not fit its line is written smaller, never cut."""
_HATCH_PX = 14
_SMOOTH_PIXELS = 0.8
_NEAR_PIXELS = 8.0
BACKGROUND = (11, 13, 16)
INK = (226, 230, 235)
QUIET = (150, 158, 168)


@dataclass(frozen=True)
class Frame:
    """The part of a slice that is shown and how many picture points one millimetre takes."""

    rows: slice
    columns: slice
    px_per_mm: float
    size: tuple[int, int]


def frame_of(view: AxialView, slices: Collection[int], panel_px: int) -> Frame:
    """One scale for all panels, so that what is larger looks larger.

    The head in these slices fills a square of ``panel_px`` on its longer side.
    """
    rows, columns = view.head_box(slices)
    height_mm = (rows.stop - rows.start) * view.row_mm
    width_mm = (columns.stop - columns.start) * view.column_mm
    scale = panel_px / max(height_mm, width_mm)
    size = (max(round(width_mm * scale), 1), max(round(height_mm * scale), 1))
    return Frame(rows, columns, scale, size)


def enlarged(
    values: Floats, frame: Frame, how: Image.Resampling = Image.Resampling.BICUBIC
) -> Floats:
    """A part of a slice at the size of its panel."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(frame.size, how), dtype=np.float64)


def signed_distance_mm(mask: NDArray[np.bool_], view: AxialView) -> Floats:
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


def tinted(canvas: Floats, inside_px: Floats, look: Look) -> Floats:
    """The inside of one region filled with its colour, as far as it is to be."""
    alpha = look.tint * np.clip(inside_px + 0.5, 0, 1)[..., None]
    return np.asarray(canvas * (1 - alpha) + np.array(look.colour) * alpha)


def drawn(canvas: Floats, inside_px: Floats, look: Look) -> Floats:
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


def innermost(inside_px: Floats) -> tuple[float, float]:
    """The point (x, y) that lies deepest inside."""
    y, x = np.unravel_index(int(inside_px.argmax()), inside_px.shape)
    return float(x), float(y)


def outlined(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str,
) -> None:
    """Text that reads on bone and on air alike."""
    black = (0, 0, 0)
    draw.text(place, text, colour, font(size), anchor, stroke_width=3, stroke_fill=black)


def with_sides(panel: Image.Image, *, is_small: bool = False) -> Image.Image:
    """Radiological convention, printed in every panel: R on the image's left side.

    A small panel has no room for the words, which then stand once beside all of them.
    """
    marked = panel.copy()
    draw = ImageDraw.Draw(marked)
    width, height = marked.size
    edge, letter_px = (5, 17) if is_small else (12, 30)
    for x, letter, words, anchor in (
        (edge, "R", "patient RIGHT", "l"),
        (width - edge, "L", "patient LEFT", "r"),
    ):
        outlined(draw, (x, height / 2), letter, letter_px, INK, anchor + "m")
        if not is_small:
            outlined(draw, (x, height - 12), words, 15, INK, anchor + "s")
    return marked


def swatch(page: Image.Image, place: tuple[float, float], look: Look) -> float:
    """A sample of the look with its name; returns where the next one may begin."""
    width, height = 44, 20
    y, x = np.mgrid[:height, :width]
    inside = np.minimum.reduce([x, width - 1 - x, y, height - 1 - y]) - 3.0
    plain = np.full((height, width, 3), BACKGROUND, np.float64)
    sample = drawn(tinted(plain, inside, look), inside, look)
    page.paste(Image.fromarray(sample.round().astype(np.uint8)), (int(place[0]), int(place[1])))
    write(page, (place[0] + width + 8, place[1]), look.title, 16, QUIET)
    return place[0] + width + 32 + ImageDraw.Draw(page).textlength(look.title, font=font(16))


def write(
    page: Image.Image,
    place: tuple[float, float],
    text: str,
    size: int,
    colour: tuple[int, int, int],
) -> None:
    """One line of text, smaller where it would not fit the page."""
    draw = ImageDraw.Draw(page)
    room = page.width - place[0] - GAP_PX
    while size > _SMALLEST_PX and draw.textlength(text, font=font(size)) > room:
        size -= 1
    draw.text(place, text, font=font(size), fill=colour)


def font(size: int) -> Any:
    """Pillow's own font, there on every machine."""
    return ImageFont.load_default(size)


def wrapped(line: str, width: int = 100) -> list[str]:
    """A text in lines of at most so many letters; one empty line for no text."""
    return textwrap.wrap(line, width) or [""]


def png(image: Image.Image) -> bytes:
    """The file."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def message_picture(title: str, lines: Sequence[str]) -> bytes:
    """A PNG without an image: what is said where there is nothing to show."""
    height = 150 + 34 * sum(len(wrapped(line)) for line in lines)
    page = Image.new("RGB", (1200, height), BACKGROUND)
    write(page, (48, 40), title, 36, INK)
    top = 110
    for line in lines:
        for part in wrapped(line):
            write(page, (48, top), part, 20, QUIET)
            top += 34
    return png(page)
