"""The fitted atlas carried back to one head, and what the case's own outlines say about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.register import apply_affine
from willis_models.imaging.resample import AIR_HU, grid_points, sample_labels, sample_stack, shrink
from willis_models.volume import Floats, Grid, SliceStack, Volume
from willis_training.curation.archive.alignment import Alignment, sample_field
from willis_training.curation.archive.convert import SIDES, Areas
from willis_training.curation.archive.mean_overlay import (
    RIGHT_OFFSET,
    FittedAtlas,
    Labels,
    in_fitted_atlas,
    labels_at,
)
from willis_training.curation.archive.template_head import TemplateHead
from willis_training.metrics import dice

MIN_COMPARED_VOXELS = 20


@dataclass(frozen=True)
class LabelledHead:
    """An image in HU and its labels 0-20 on one grid."""

    image: Volume
    labels: Volume


def native_labels(
    grid: Grid, alignment: Alignment, fitted: FittedAtlas, template: TemplateHead
) -> tuple[Labels, NDArray[np.bool_]]:
    """Labels 0-20 and brain on a grid of the head's own world, slice by slice."""
    aligned = grid_points(alignment.grid)
    in_atlas = in_fitted_atlas(fitted, template, alignment.from_aligned(aligned))
    shift_mm = (in_atlas - aligned).astype(np.float32)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    brain = np.zeros(grid.shape, dtype=np.bool_)
    _, rows, columns = grid.shape
    plane = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    for k in range(grid.shape[0]):
        plane[..., 0] = k
        points = grid.to_world(plane)
        inside = alignment.in_brain(points)
        brain[k] = inside
        if inside.any():
            before = apply_affine(alignment.to_template, points[inside])
            atlas_lps = before + sample_field(shift_mm, alignment.grid, before)
            labels[k][inside] = labels_at(template, atlas_lps)
    return labels, brain


def with_own_outlines(labels: Labels, grid: Grid, areas: Areas, alignment: Alignment) -> Labels:
    """The carried atlas, corrected by what was drawn on this very head.

    On a slice that was read, a region lies where its own outline puts it, or, interpolated, where
    its neighbours do. Where it was drawn on no slice near, and on slices that nobody read, the
    atlas stays. Where two outlines claim a voxel, the atlas decides if it can.
    """
    answer = labels.copy()
    _, rows, columns = grid.shape
    plane = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    for k in range(grid.shape[0]):
        plane[..., 0] = k
        points = grid.to_world(plane)
        index = np.rint(areas.stack.to_index(points)).astype(int)
        here = int(np.median(index[..., 0]))
        if 0 <= here < areas.stack.shape[0]:
            claims = list(_claims(areas, here, index, points, alignment))
            answer[k] = _settled(labels[k], claims)
    return answer


def _claims(
    areas: Areas, here: int, index: NDArray[np.int_], points: Floats, alignment: Alignment
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Label and area of everything drawn on one slice, on the pixels of another grid's slice."""
    _, rows, columns = areas.stack.shape
    j, i = index[..., 1], index[..., 2]
    inside = (j >= 0) & (j < rows) & (i >= 0) & (i < columns)
    j, i = np.clip(j, 0, rows - 1), np.clip(i, 0, columns - 1)
    for n in np.flatnonzero(areas.read[:, here]):
        drawn = areas.masks[n, here][j, i] & inside
        for label, where in _sides(areas, int(n), points, alignment):
            yield label, drawn & where


def _settled(
    carried: NDArray[np.uint8], claims: list[tuple[int, NDArray[np.bool_]]]
) -> NDArray[np.uint8]:
    settled = carried.copy()
    settled[np.isin(carried, [label for label, _ in claims])] = 0
    for label, area in claims:
        settled[area] = label
    agreed = [area & (carried == label) for label, area in claims]
    for (label, _), area in zip(claims, agreed, strict=True):
        settled[area] = label
    return settled


def stripped(image: Volume, brain: NDArray[np.bool_], bone_hu: float) -> Volume:
    """The brain alone, air elsewhere.

    The mask comes from a coarser grid: bone that hangs together with the skull outside of it goes
    too, calcifications within the brain stay.
    """
    bone = image.voxels > bone_hu
    skull = ndimage.binary_propagation(bone & ~brain, np.ones((3, 3, 3)), mask=bone)
    return image.with_voxels(np.where(brain & ~skull, image.voxels, np.int16(AIR_HU)))


def registered(
    image: Volume, kept: NDArray[np.bool_], labels: Volume, alignment: Alignment, grid: Grid
) -> LabelledHead:
    """What is kept of a head, and its labels, on the template's grid."""
    native = alignment.to_native(grid_points(grid))
    stack = shrink(SliceStack.from_volume(image), min(grid.spacing_mm))
    inside = sample_labels(kept, image.grid, native) > 0
    hu = np.where(inside, sample_stack(stack, native), AIR_HU)
    return LabelledHead(
        Volume(np.rint(hu).astype(np.int16), grid.affine_lps),
        Volume(sample_labels(labels.voxels, labels.grid, native), grid.affine_lps),
    )


def overlap(areas: Areas, labels: Labels, grid: Grid, alignment: Alignment) -> dict[int, float]:
    """Dice of labels with the areas that were drawn, on the slices where they were; by label."""
    found: dict[int, float] = {}
    for n, (mask, read) in enumerate(zip(areas.masks, areas.read, strict=True)):
        slices = np.flatnonzero(read)
        points = np.stack([_plane(areas.stack, k) for k in slices])
        own = sample_labels(labels, grid, points)
        for label, where in _sides(areas, n, points, alignment):
            truth, transferred = mask[slices] & where, (own == label) & where
            if truth.sum() >= MIN_COMPARED_VOXELS:
                found[label] = dice(truth, transferred)
    return dict(sorted(found.items()))


def _plane(stack: SliceStack, k: int) -> NDArray[np.float64]:
    _, rows, columns = stack.shape
    index = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    index[..., 0] = k
    return stack.to_world(index)


def _sides(
    areas: Areas, n: int, points: NDArray[np.float64], alignment: Alignment
) -> list[tuple[int, NDArray[np.bool_] | np.bool_]]:
    region, side = int(areas.region[n]) + 1, SIDES[int(areas.side[n])]
    if side != "by-position":
        return [(region + (RIGHT_OFFSET if side == "right" else 0), np.True_)]
    left = alignment.to_atlas(points)[..., 0] > 0
    return [(region, left), (region + RIGHT_OFFSET, ~left)]
