"""What the readers drew on many heads, averaged on the template; and the atlas bent to fit it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.resample import grid_points
from willis_models.volume import Array, Floats, Grid, Volume
from willis_training.curation.archive.alignment import Alignment, Field, sample_field
from willis_training.curation.archive.convert import SIDES, Areas
from willis_training.curation.archive.rules import RegistrationRules
from willis_training.curation.archive.template_head import TemplateHead
from willis_training.curation.label_transfer import region_probabilities
from willis_training.metrics import dice

REGIONS = 20
RIGHT_OFFSET = 10
BRAIN_MARGIN_VOXELS = 4
MIN_CASES_SHARE = 0.5
"""A voxel's mean counts where at least this share of the best-read voxel's cases say something."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class CarriedAreas:
    """One case on the template's grid: cover (20, z, y, x) 0-255, and where slices were read."""

    cover: NDArray[np.uint8]
    read: NDArray[np.bool_]


@dataclass(frozen=True)
class FittedAtlas:
    """The atlas after the second registration, and how well it meets the mean overlay.

    ``field_mm`` (z, y, x, 3) on the template's grid: where in the atlas a template point lies,
    minus that point. ``mean_overlay`` is the label map that it was fitted to.
    """

    field_mm: Field
    mean_overlay: Labels
    dice_before: tuple[float, ...]
    dice_after: tuple[float, ...]
    cases: int


def carry(areas: Areas, alignment: Alignment, template: TemplateHead) -> CarriedAreas:
    """The filled outlines of a case on the template's grid.

    A slice on which anything was drawn counts as read: what was not drawn there is not there.
    """
    grid = template.atlas.grid
    near = ndimage.binary_dilation(template.brain.voxels > 0, iterations=BRAIN_MARGIN_VOXELS)
    index = areas.stack.to_index(alignment.to_native(grid_points(grid)[near]))
    known = _read_at(areas, index)
    left = grid_points(grid)[near][:, 0] > 0
    cover = np.zeros((REGIONS, *grid.shape), dtype=np.uint8)
    for mask, region, side in zip(areas.masks, areas.region, areas.side, strict=True):
        values = _linear(mask, index) * 255.0
        for label, where in _labels_of(int(region), int(side), left):
            cover[label - 1][near] = np.maximum(cover[label - 1][near], np.where(where, values, 0))
    read = np.zeros(grid.shape, dtype=np.bool_)
    read[near] = known
    return CarriedAreas(cover, read)


def _labels_of(
    region: int, side: int, left: NDArray[np.bool_]
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Labels 1-20 of a region and where each may lie."""
    everywhere = np.ones_like(left)
    if SIDES[side] == "left":
        return [(region + 1, everywhere)]
    if SIDES[side] == "right":
        return [(region + 1 + RIGHT_OFFSET, everywhere)]
    return [(region + 1, left), (region + 1 + RIGHT_OFFSET, ~left)]


def _linear(mask: Array, index: Floats) -> NDArray[np.float32]:
    box = ndimage.find_objects(mask.astype(np.uint8))[0] if mask.any() else None
    values = np.zeros(len(index), dtype=np.float32)
    if box is None:
        return values
    start = np.array([side.start for side in box]) - 1
    padded = np.pad(mask[box].astype(np.float32), 1)
    inside = ((index > start) & (index < start + np.array(padded.shape) - 1)).all(axis=-1)
    wanted = (index[inside] - start).T
    values[inside] = ndimage.map_coordinates(padded, wanted, order=1, prefilter=False)
    return values


def _read_at(areas: Areas, index: Floats) -> NDArray[np.bool_]:
    """Whether something was drawn on the slice nearest to each index (n, 3)."""
    slices = np.rint(index[:, 0]).astype(int)
    drawn: NDArray[np.bool_] = np.asarray(areas.read.any(axis=0))
    inside = (slices >= 0) & (slices < len(drawn))
    return np.asarray(inside & drawn[np.clip(slices, 0, len(drawn) - 1)])


def average(cases: Iterable[CarriedAreas], template: TemplateHead) -> tuple[Labels, int]:
    """The mean overlay as labels 0-20, and the number of cases.

    A region wins where most of the cases that were read there drew it; where too few were read,
    the atlas stays as it is.
    """
    shape = template.atlas.voxels.shape
    cover = np.zeros((REGIONS, *shape), dtype=np.float32)
    read = np.zeros(shape, dtype=np.float32)
    count = 0
    for case in cases:
        cover += case.cover * case.read
        read += case.read
        count += 1
    share = cover / np.maximum(read, 1.0) / 255.0
    best = share.argmax(axis=0)
    drawn = np.where(share.max(axis=0) > 0.5, best + 1, 0).astype(np.uint8)
    enough = read >= max(MIN_CASES_SHARE * read.max(), 1.0)
    return np.where(enough, drawn, template.atlas.voxels).astype(np.uint8), count


def fit_atlas(
    mean_overlay: Labels, cases: int, template: TemplateHead, rules: RegistrationRules
) -> FittedAtlas:
    """Register the outlines of the mean overlay to those of the atlas.

    Two pairs of images: distance to the nearest outline, and the areas all regions cover.
    """
    from willis_training.curation.registration import RegistrationSettings, register_several

    grid = template.atlas.grid
    working = template.grid(rules.spacing_mm)
    images = [
        [
            _on(image, grid, working)
            for image in outline_images(labels, grid, rules.outline_sigma_mm)
        ]
        for labels in (mean_overlay, template.atlas.voxels)
    ]
    settings = RegistrationSettings("meansquares", 0, rules.outline_iterations)
    mapping = register_several(images[0], images[1], settings)
    points = grid_points(grid)
    field_mm = sample_field(mapping.displacement_mm, working, points).astype(np.float32)
    return FittedAtlas(
        field_mm=field_mm,
        mean_overlay=mean_overlay,
        dice_before=_dice_by_region(mean_overlay, template.atlas.voxels),
        dice_after=_dice_by_region(mean_overlay, labels_at(template, points + field_mm)),
        cases=cases,
    )


def _on(image: NDArray[np.float32], grid: Grid, working: Grid) -> Volume:
    index = np.moveaxis(grid.to_index(grid_points(working)), -1, 0)
    values = ndimage.map_coordinates(image, index, order=1, output=np.float32)
    return Volume(values, working.affine_lps)


def outline_images(labels: Labels, grid: Grid, sigma_mm: float) -> list[NDArray[np.float32]]:
    """Images 0-1 of a label map: one bright along every outline, and soft areas by region.

    Regions that touch are in different images, so that each border is seen from both sides.
    """
    steps = grid.spacing_mm
    edge = np.zeros(labels.shape, dtype=np.bool_)
    for axis in range(3):
        differs = np.diff(labels, axis=axis) != 0
        edge |= np.pad(differs, [(0, int(a == axis)) for a in range(3)])
    distance = ndimage.distance_transform_edt(~edge, steps)
    outline = np.exp(-((distance / sigma_mm) ** 2) / 2)
    within = np.where(labels > 0, (labels.astype(np.int16) - 1) % RIGHT_OFFSET + 1, 0)
    sigma = [sigma_mm / 2 / step for step in steps]
    areas = [
        ndimage.gaussian_filter(np.isin(within, group).astype(np.float32), sigma)
        for group in _APART
    ]
    return [outline.astype(np.float32), *areas]


_APART = ((1, 3, 5, 7), (2, 6), (4, 9), (8, 10))
"""C I M1 M3, L M2, IC M5, M4 M6: no two of a group touch in a way that hides their border."""


def labels_at(template: TemplateHead, atlas_lps: Array) -> Labels:
    """Labels 0-20 at points of the atlas (..., 3), from its smoothed regions."""
    flat = atlas_lps.reshape(1, 1, -1, 3).astype(np.float32)
    regions = region_probabilities(template.regions, flat)
    best = np.zeros(flat.shape[2], dtype=np.float32)
    total = np.zeros_like(best)
    labels = np.zeros(flat.shape[2], dtype=np.uint8)
    for label, part in enumerate(regions, start=1):
        values = part[0, 0]
        wins = values > best
        labels[wins], best[wins] = label, values[wins]
        total += values
    labels[best < 1.0 - total] = 0
    return labels.reshape(atlas_lps.shape[:-1])


def in_fitted_atlas(fitted: FittedAtlas, template: TemplateHead, template_lps: Array) -> Floats:
    """Points of the template (..., 3) in the atlas."""
    moved = sample_field(fitted.field_mm, template.atlas.grid, template_lps)
    return np.asarray(template_lps + moved)


def unfitted(template: TemplateHead) -> FittedAtlas:
    """The atlas as it is: what is used where nobody drew anything."""
    field = np.zeros((*template.atlas.voxels.shape, 3), dtype=np.float32)
    same = _dice_by_region(template.atlas.voxels, template.atlas.voxels)
    return FittedAtlas(field, template.atlas.voxels, same, same, 0)


def _dice_by_region(one: Labels, other: Labels) -> tuple[float, ...]:
    return tuple(dice(one == label, other == label) for label in range(1, REGIONS + 1))


def save_carried(carried: CarriedAreas, path: Path) -> None:
    """Write a case's cover, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, cover=carried.cover, read=carried.read)
    partial.replace(path)


def load_carried(path: Path) -> CarriedAreas:
    """Read what ``save_carried`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return CarriedAreas(stored["cover"], stored["read"])


def save_fitted(fitted: FittedAtlas, path: Path) -> None:
    """Write the fitted atlas, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            field_mm=fitted.field_mm,
            mean_overlay=fitted.mean_overlay,
            dice_before=np.array(fitted.dice_before),
            dice_after=np.array(fitted.dice_after),
            cases=np.array(fitted.cases),
        )
    partial.replace(path)


def load_fitted(path: Path) -> FittedAtlas:
    """Read what ``save_fitted`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return FittedAtlas(
            stored["field_mm"],
            stored["mean_overlay"],
            tuple(stored["dice_before"].tolist()),
            tuple(stored["dice_after"].tolist()),
            int(stored["cases"]),
        )
