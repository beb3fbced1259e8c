"""One kept series to NIfTI with its sidecar, and its overlays to point clouds and filled areas."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS
from willis_models.errors import InputError
from willis_models.volume import Floats, SliceStack
from willis_training.curation.archive.bids import Layout, table, write_json, write_whole
from willis_training.curation.archive.headers import Header
from willis_training.curation.archive.pseudonyms import CaseName
from willis_training.curation.archive.read_series import SeriesImages, read_series
from willis_training.curation.archive.regular import regular_volume
from willis_training.curation.archive.rules import LabelRules, OverlayMeaning
from willis_training.curation.archive.sidecar import sidecar
from willis_training.curation.nifti import encode_nifti
from willis_training.curation.outlines import (
    Filling,
    fill_outline,
    interpolate_skipped,
    pieces_of,
    points_lps,
    without_specks,
)

Mask = NDArray[np.bool_]
SIDES = ("left", "right", "by-position")
VERSION = 1
"""Goes up when the same input would give other files, so that a resumed run makes them anew."""


@dataclass(frozen=True)
class ConversionTask:
    """What a worker needs for one series; ``areas_file`` is private, the rest of it is not."""

    paths: tuple[str, ...]
    header: Header
    name: CaseName
    root: Path
    areas_file: Path
    rules: LabelRules


@dataclass(frozen=True)
class Conversion:
    """How it went. ``reason`` is None where the series was converted."""

    name: CaseName
    reason: str | None
    message: str = ""
    overlays: int = 0
    outlines: int = 0
    unknown_overlays: int = 0
    unfilled: int = 0


@dataclass(frozen=True)
class Areas:
    """Filled outlines of one case: ``masks`` (n, z, y, x) on the scanned slices.

    ``region`` (n,) 0-9 in the order of ASPECTS_REGIONS; ``side`` (n,) an index into ``SIDES``.
    ``read`` (n, z) says on which slices the area was drawn or interpolated; elsewhere nothing is
    known. ``stack`` has the geometry and no voxels.
    """

    masks: NDArray[np.bool_]
    region: NDArray[np.uint8]
    side: NDArray[np.uint8]
    read: NDArray[np.bool_]
    stack: SliceStack


def convert(task: ConversionTask) -> Conversion:
    """Read, convert, write. What is wrong with the input is in the answer, not raised."""
    try:
        images = read_series(task.paths)
    except InputError as error:
        return Conversion(task.name, error.code.lower().replace("_", "-"), error.message)
    layout = Layout(task.root)
    image = regular_volume(images.stack)
    write_whole(layout.image(task.name), encode_nifti(image.volume))
    write_json(layout.sidecar(task.name), sidecar(task.header, image, images.overlay_count))
    return _with_outlines(task, images, layout)


def _with_outlines(task: ConversionTask, images: SeriesImages, layout: Layout) -> Conversion:
    drawn = list(_drawn(images, task.rules))
    unfilled = 0
    if drawn:
        write_whole(layout.points(task.name), _points_table(drawn, images.stack, task.rules))
        areas, unfilled = fill(drawn, images.stack, task.rules)
        save_areas(areas, task.areas_file)
    return Conversion(
        task.name,
        None,
        overlays=images.overlay_count,
        outlines=len(drawn),
        unknown_overlays=images.overlay_count - len(drawn),
        unfilled=unfilled,
    )


@dataclass(frozen=True)
class _Outline:
    slice_index: int
    meaning: OverlayMeaning
    mask: Mask


def _drawn(images: SeriesImages, rules: LabelRules) -> Iterator[_Outline]:
    """The overlays that stand for a region; empty planes are dropped."""
    for k, planes in enumerate(images.overlays):
        for plane in planes:
            meaning = rules.meaning_of(plane.name)
            if meaning is not None and plane.mask.any():
                yield _Outline(k, meaning, plane.mask)


def _points_table(drawn: Sequence[_Outline], stack: SliceStack, rules: LabelRules) -> bytes:
    rows: list[tuple[object, ...]] = []
    for outline in drawn:
        line = without_specks(outline.mask, rules.outlines.speck_pixels)
        for x, y, z in points_lps(line, stack, outline.slice_index).round(2).tolist():
            rows.append((outline.meaning.region, outline.meaning.side, x, y, z))
    columns = ("region", "side", "x_lps_mm", "y_lps_mm", "z_lps_mm")
    return gzip.compress(table(columns, rows), mtime=0)


def fill(drawn: Sequence[_Outline], stack: SliceStack, rules: LabelRules) -> tuple[Areas, int]:
    """Outlines to areas, slices between them interpolated; and how many outlines stayed open."""
    filling = rules.outlines.filling()
    found: dict[tuple[str, str], list[Mask | None]] = {}
    unfilled = 0
    for outline in drawn:
        for piece in _pieces(outline, stack.pixel_spacing_mm, filling):
            area = fill_outline(piece, stack.pixel_spacing_mm, filling)
            if not area.any():
                unfilled += 1
                continue
            key = (outline.meaning.region, outline.meaning.side)
            slices = found.setdefault(key, [None] * stack.shape[0])
            before = slices[outline.slice_index]
            slices[outline.slice_index] = area if before is None else before | area
    return _gathered(found, stack, rules.outlines.max_skipped_mm), unfilled


def _pieces(outline: _Outline, pixel_mm: tuple[float, float], filling: Filling) -> list[Mask]:
    """One outline; or, where one plane may hold both sides, all that lie apart."""
    if outline.meaning.side != "by-position":
        return [outline.mask]
    return pieces_of(outline.mask, pixel_mm, filling)


def _gathered(
    found: dict[tuple[str, str], list[Mask | None]], stack: SliceStack, max_skipped_mm: float
) -> Areas:
    masks, read = [], []
    for slices in found.values():
        every = interpolate_skipped(slices, stack.distances_mm, max_skipped_mm)
        empty = np.zeros(stack.shape[1:], dtype=np.bool_)
        masks.append(np.stack([empty if area is None else area for area in every]))
        read.append([area is not None for area in every])
    regions = [ASPECTS_REGIONS.index(region) for region, _ in found]
    sides = [SIDES.index(side) for _, side in found]
    return Areas(
        masks=np.array(masks, dtype=np.bool_).reshape(-1, *stack.shape),
        region=np.array(regions, dtype=np.uint8),
        side=np.array(sides, dtype=np.uint8),
        read=np.array(read, dtype=np.bool_).reshape(-1, stack.shape[0]),
        stack=stack,
    )


def save_areas(areas: Areas, path: Path) -> None:
    """Write the areas, packed to bits, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            masks=np.packbits(areas.masks, axis=-1),
            shape=np.array(areas.masks.shape),
            region=areas.region,
            side=areas.side,
            read=areas.read,
            origins_lps=areas.stack.origins_lps,
            row_step_lps=areas.stack.row_step_lps,
            column_step_lps=areas.stack.column_step_lps,
        )
    partial.replace(path)


def load_areas(path: Path) -> Areas:
    """Read what ``save_areas`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        shape = tuple(int(n) for n in stored["shape"])
        masks = np.unpackbits(stored["masks"], axis=-1, count=shape[-1]).astype(np.bool_)
        origins: Floats = stored["origins_lps"]
        geometry = SliceStack(
            np.broadcast_to(np.int16(0), shape[1:]).copy(),
            origins,
            stored["row_step_lps"],
            stored["column_step_lps"],
        )
        return Areas(
            masks.reshape(shape), stored["region"], stored["side"], stored["read"], geometry
        )


def outcome_of(conversion: Conversion) -> dict[str, Any]:
    """As stored in the index; identifiers are not in it."""
    return {
        "reason": conversion.reason,
        "overlays": conversion.overlays,
        "outlines": conversion.outlines,
        "unknown_overlays": conversion.unknown_overlays,
        "unfilled": conversion.unfilled,
    }
