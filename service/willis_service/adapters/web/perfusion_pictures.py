"""Pictures of a perfusion study: mismatch, prediction, maps; and all of them as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.colours import SCALES, MapScale
from willis_service.adapters.web.display import AxialView, Turn, axial_view, turn_of
from willis_service.adapters.web.drawing import (
    BACKGROUND,
    GAP_PX,
    INK,
    QUIET,
    Frame,
    drawn,
    enlarged,
    font,
    frame_of,
    outlined,
    png,
    signed_distance_mm,
    swatch,
    tinted,
    with_sides,
    write,
)
from willis_service.adapters.web.palette import LESIONS
from willis_service.adapters.web.slices import informative_slices

Floats = NDArray[np.float64]
Masks = Mapping[str, NDArray[np.bool_]]

WINDOW_WIDTH_HU, WINDOW_LEVEL_HU = 80.0, 40.0
CORE, PENUMBRA, PREDICTED = "core", "penumbra", "predicted_infarct"
SIDES_TEXT = "R: patient RIGHT, on the image's left side. L: patient LEFT."
_MEASURED = "Measured: core and penumbra"
_PREDICTED = "Predicted by a network, not measured: final infarct"
COLUMNS, ROWS_OF_MISMATCH = 6, 2
_PANEL_PX, _SPACE_PX, _BAR_PX = 226, 4, 96
_TITLE_PX, _LEGEND_PX = 40, 34
_DIM = 0.35
_RING = (240, 228, 66)


@dataclass(frozen=True)
class PerfusionView:
    """An analysis as it is looked at: images, masks and maps with the axes of the screen."""

    image: AxialView
    grey: tuple[float, float]
    """Values shown black and white."""
    masks: Masks
    maps: Mapping[str, Floats]
    turn: Turn

    @property
    def lesion(self) -> NDArray[np.int64]:
        """Voxels of any segment, a slice."""
        return np.asarray(sum(mask.sum(axis=(1, 2)) for mask in self.masks.values()), np.int64)

    @property
    def tissue(self) -> NDArray[np.int64]:
        """Voxels of which a map says something, a slice; of a study without maps, of the head."""
        for values in self.maps.values():
            return np.asarray((~np.isnan(values)).sum(axis=(1, 2)), np.int64)
        low, _ = self.grey
        return np.asarray((self.image.hu > low).sum(axis=(1, 2)), np.int64)


Spot = tuple[str, Sequence[float]]
"""The name of a vessel, and where it is shown: slice, row, column."""


@dataclass(frozen=True)
class Figures:
    """Pictures of the page by name (mismatch, predicted, vessels, maps), and all in one."""

    parts: Mapping[str, bytes]
    together: bytes


def perfusion_view(analysis: Analysis, image: InputImage) -> PerfusionView:
    """The analysis on the axes of the screen.

    Of a study of ready maps the map that was analysed stands in for the scan, and is shown.
    """
    turn = turn_of(image.stack)
    every = (analysis.labels, *analysis.overlays)
    layers = [turn.turned(layer) for layer in every if layer is not None]
    masks = {
        segment.key: np.any([layer == segment.number for layer in layers], axis=0)
        for segment in analysis.findings.segments
    }
    maps = {one.key: turn.turned(one.values) for one in analysis.maps}
    view = axial_view(image.stack)
    if image.unit is not None:
        # What a map does not know is 0 or padding, in whichever program made it.
        view = replace(view, hu=np.where(view.hu > 0, view.hu, np.nan))
        maps = {str(analysis.reference_role): view.hu, **maps}
    return PerfusionView(view, _grey_range(image, view), masks, maps, turn)


def figures(view: PerfusionView, vessels: Sequence[Spot], heading: str, statement: str) -> Figures:
    """Every picture of one study. ``heading`` carries the numbers for who has the picture alone."""
    many = informative_slices(view.tissue, view.lesion, COLUMNS * ROWS_OF_MISMATCH)
    few = informative_slices(view.tissue, view.lesion, COLUMNS)
    frame = frame_of(view.image, many, _PANEL_PX)
    made = {
        "mismatch": _lesion_figure(view, frame, many, (PENUMBRA, CORE), _MEASURED),
        "predicted": _lesion_figure(view, frame, few, (PREDICTED,), _PREDICTED),
    }
    if any(scale.key in view.maps for scale in SCALES):
        made["maps"] = _map_figure(view, frame, few)
    together = png(_together(list(made.values()), heading, statement))
    if vessels:
        made["vessels"] = _vessel_figure(view, frame, vessels)
    return Figures({name: png(image) for name, image in made.items()}, together)


def _grey_range(image: InputImage, view: AxialView) -> tuple[float, float]:
    """The brain window; of a study of ready maps, the middle of what the map holds."""
    if image.unit is None:
        return WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2, WINDOW_LEVEL_HU + WINDOW_WIDTH_HU / 2
    known = view.hu[np.isfinite(view.hu) & (view.hu > 0)]
    return (0.0, float(np.percentile(known, 98))) if known.size else (0.0, 1.0)


def _lesion_figure(
    view: PerfusionView, frame: Frame, slices: Sequence[int], keys: Sequence[str], title: str
) -> Image.Image:
    """The slices in rows, each with these segments filled and outlined."""
    rows = [slices[n : n + COLUMNS] for n in range(0, len(slices), COLUMNS)]
    page = _page(frame, len(rows))
    write(page, (GAP_PX, 10), title, 20, INK)
    for place, row in enumerate(rows):
        for column, k in enumerate(row):
            panel = _filled(view, frame, k, keys)
            page.paste(_finished(panel, view, k), _corner(frame, place, column))
    left, top = float(GAP_PX), page.height - _LEGEND_PX + 6
    for key in reversed(keys):
        left = swatch(page, (left, top), LESIONS[key])
    write(page, (left + 8, top), SIDES_TEXT, 15, QUIET)
    return page


def _map_figure(view: PerfusionView, frame: Frame, slices: Sequence[int]) -> Image.Image:
    """A row for each map with its colour bar."""
    shown = [scale for scale in SCALES if scale.key in view.maps]
    page = _page(frame, len(shown))
    write(page, (GAP_PX, 10), "Perfusion maps", 20, INK)
    for place, scale in enumerate(shown):
        for column, k in enumerate(slices):
            panel = _coloured(view, frame, k, scale)
            page.paste(_finished(panel, view, k), _corner(frame, place, column))
        _bar(page, scale, _corner(frame, place, COLUMNS), frame.size[1])
    write(
        page, (GAP_PX, page.height - _LEGEND_PX + 6), f"Grey: not measured. {SIDES_TEXT}", 15, QUIET
    )
    return page


def _vessel_figure(view: PerfusionView, frame: Frame, vessels: Sequence[Spot]) -> Image.Image:
    """Each vessel's slice with a ring about the place."""
    width, height = frame.size
    size = (len(vessels) * (width + _SPACE_PX) - _SPACE_PX, height + 28)
    page = Image.new("RGB", size, BACKGROUND)
    for place, (name, (slice_at, row, column)) in enumerate(vessels):
        k = int(np.clip(round(slice_at), 0, len(view.image.hu) - 1))
        panel = _finished(_grey(view, frame, k), view, k)
        x = (column - frame.columns.start + 0.5) * view.image.column_mm * frame.px_per_mm
        y = (row - frame.rows.start + 0.5) * view.image.row_mm * frame.px_per_mm
        ImageDraw.Draw(panel).ellipse((x - 9, y - 9, x + 9, y + 9), outline=_RING, width=3)
        page.paste(panel, (place * (width + _SPACE_PX), 28))
        write(page, (place * (width + _SPACE_PX) + 2, 4), name, 16, INK)
    return page


def _page(frame: Frame, rows: int) -> Image.Image:
    width, height = frame.size
    size = (
        2 * GAP_PX + COLUMNS * (width + _SPACE_PX) + _BAR_PX,
        _TITLE_PX + rows * (height + _SPACE_PX) + _LEGEND_PX,
    )
    return Image.new("RGB", size, BACKGROUND)


def _corner(frame: Frame, row: int, column: int) -> tuple[int, int]:
    width, height = frame.size
    return GAP_PX + column * (width + _SPACE_PX), _TITLE_PX + row * (height + _SPACE_PX)


def _grey(view: PerfusionView, frame: Frame, k: int) -> Floats:
    """A slice in grey, (rows, columns, 3) from 0 to 255."""
    low, high = view.grey
    values = np.nan_to_num(view.image.slab_hu(k)[frame.rows, frame.columns], nan=low)
    shown = np.clip((enlarged(values, frame) - low) / (high - low), 0, 1) * 255
    return np.repeat(shown[..., None], 3, axis=-1)


def _filled(view: PerfusionView, frame: Frame, k: int, keys: Sequence[str]) -> Floats:
    """A slice with segments tinted inside their contours, the last one on top."""
    canvas = _grey(view, frame, k)
    for key in keys:
        mask = view.masks[key][k][frame.rows, frame.columns]
        if mask.any():
            inside = enlarged(signed_distance_mm(mask, view.image), frame) * frame.px_per_mm
            canvas = drawn(tinted(canvas, inside, LESIONS[key]), inside, LESIONS[key])
    return canvas


def _coloured(view: PerfusionView, frame: Frame, k: int, scale: MapScale) -> Floats:
    """A map over the dimmed slice, where it says something; its values are not smoothed."""
    part = view.maps[scale.key][k][frame.rows, frame.columns]
    nearest = Image.Resampling.NEAREST
    known = enlarged((~np.isnan(part)).astype(np.float64), frame, nearest)[..., None] > 0.5
    values = enlarged(np.nan_to_num(part.astype(np.float64)), frame, nearest)
    return np.where(known, scale.coloured(values), _DIM * _grey(view, frame, k))


def _finished(canvas: Floats, view: PerfusionView, k: int) -> Image.Image:
    """The panel with patient sides and the position of its slice."""
    panel = with_sides(Image.fromarray(canvas.round().astype(np.uint8)), is_small=True)
    text = f"{k + 1}/{len(view.image.hu)}  {view.image.positions_mm[k]:+.0f} mm"
    outlined(ImageDraw.Draw(panel), (panel.width / 2, panel.height - 4), text, 13, INK, "ms")
    return panel


def _bar(page: Image.Image, scale: MapScale, corner: tuple[int, int], height: int) -> None:
    """The colour bar with its name, unit and marks."""
    left, top = corner[0] + 10, corner[1] + 44
    length = height - 60
    draw = ImageDraw.Draw(page)
    draw.text((left, corner[1] + 2), scale.title, font=font(17), fill=INK)
    draw.text((left, corner[1] + 23), scale.unit, font=font(12), fill=QUIET)
    values = np.repeat(np.linspace(scale.high, 0, length)[:, None], 18, axis=1)
    page.paste(Image.fromarray(scale.coloured(values).round().astype(np.uint8)), (left, top))
    for tick in scale.ticks:
        y = top + (length - 1) * (1 - tick / scale.high)
        draw.line([(left + 18, y), (left + 23, y)], fill=QUIET)
        more = "+" if tick == scale.high else ""
        draw.text((left + 27, y), f"{tick:g}{more}", font=font(13), fill=INK, anchor="lm")


def _together(parts: Sequence[Image.Image], heading: str, statement: str) -> Image.Image:
    width = max(part.width for part in parts)
    page = Image.new("RGB", (width, 52 + sum(part.height for part in parts) + 40), BACKGROUND)
    write(page, (GAP_PX, 14), heading, 22, INK)
    top = 52
    for part in parts:
        page.paste(part, (0, top))
        top += part.height
    write(page, (GAP_PX, top + 8), statement, 15, QUIET)
    return page
