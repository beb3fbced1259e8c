"""Regions and their states on one placed slice, by the bundle's network and the service's code.

The network learnt from whole brains. A slab with nothing around it is nothing that it has ever
seen, so the bundle's template brain is put around the slab; only what lies in the slab is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.components import Mask
from willis_models.imaging.register import Registration
from willis_models.imaging.resample import (
    grid_points,
    labels_on_stack,
    refine_labels,
    sample_labels,
    sample_stack,
    shrink,
)
from willis_models.manifest import Manifest
from willis_models.pipelines.aspects.features import measure
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import network_grid, parameters_of
from willis_models.pipelines.aspects.prepare import normalise
from willis_models.pipelines.aspects.states import RegionState, judge
from willis_models.pipelines.base import Assets, Predictor
from willis_models.volume import Volume
from willis_training.aspects.slice_placement import PlacedSlice

Labels = NDArray[np.uint8]

SLAB_HALF_STEPS = 1.5
"""Half the slab's thickness that counts, in steps of 2 mm: 6 mm, as thick as a clinical slice."""


@dataclass(frozen=True)
class SliceRegions:
    """Labels 1-20 on the slice's own pixels, the states of the regions, and two checks.

    ``atlas_dice`` compares the labels with the template's atlas at the same place, within the
    slab; ``bare_dice`` does so for the network on the slab with nothing around it.
    """

    labels: Labels
    states: tuple[RegionState, ...]
    atlas_dice: float | None
    bare_dice: float | None


def template_of(assets: Assets, manifest: Manifest) -> Volume:
    """The bundle's template brain, elsewhere 0."""
    hu = assets["template_hu"].astype(np.float32)
    return Volume(hu, parameters_of(manifest).template_grid(hu.shape).affine_lps)


def find_regions(
    placed: PlacedSlice, brain: Mask, manifest: Manifest, assets: Assets, predictor: Predictor
) -> SliceRegions:
    """Run the network on the slab and judge what it finds; ``brain`` (rows, columns)."""
    head = _slab_in_template(placed, brain, manifest)
    template = template_of(assets, manifest)
    around = _on_grid(template, head)
    atlas = sample_labels(assets["atlas"], template.grid, grid_points(head.grid))
    probabilities = predictor(_network_input(head, around, manifest))
    bare = predictor(_network_input(head, np.zeros_like(around), manifest))
    labels = _within(probabilities.argmax(axis=0), head.covered)
    expected = _within(atlas, head.brain)
    parameters = parameters_of(manifest)
    evidence = measure(head, labels, parameters.tissue)
    return SliceRegions(
        labels=_on_slice(probabilities, head, placed),
        states=tuple(judge(evidence, parameters.states, parameters.rule)),
        atlas_dice=label_dice(labels, expected),
        bare_dice=label_dice(_within(bare.argmax(axis=0), head.covered), expected),
    )


def label_dice(found: Labels, expected: Labels) -> float | None:
    """Dice over all regions at once; None where neither map holds any."""
    total = int((found > 0).sum()) + int((expected > 0).sum())
    same = int(((found == expected) & (found > 0)).sum())
    return 2 * same / total if total else None


def _slab_in_template(placed: PlacedSlice, brain: Mask, manifest: Manifest) -> HeadInTemplate:
    grid = network_grid(manifest)
    points, step_mm = grid_points(grid), min(grid.spacing_mm)
    masks = np.repeat(brain[None].astype(np.float32), placed.stack.shape[0], axis=0)
    inside = sample_stack(shrink(placed.stack.with_voxels(masks), step_mm), points, fill=0.0) > 0.5
    planes = np.abs(placed.stack.to_index(points)[..., 0] - placed.middle)
    covered = planes <= SLAB_HALF_STEPS
    return HeadInTemplate(
        grid=grid,
        hu=sample_stack(shrink(placed.stack, step_mm), points),
        brain=inside & covered,
        covered=covered,
        registration=Registration(np.eye(4), placed.agreement),
        brain_ml=float((inside & covered).sum() * grid.voxel_ml),
    )


def _on_grid(template: Volume, head: HeadInTemplate) -> NDArray[np.float32]:
    index = np.moveaxis(template.grid.to_index(grid_points(head.grid)), -1, 0)
    sampled: NDArray[np.float32] = ndimage.map_coordinates(
        template.voxels, index, output=np.float32, order=1
    )
    return sampled


def _network_input(
    head: HeadInTemplate, around: NDArray[np.float32], manifest: Manifest
) -> NDArray[np.float32]:
    own = np.where(head.brain, head.hu, 0.0)
    return normalise(np.where(head.covered, own, around), manifest.inputs[0].intensity)[None]


def _within(labels: NDArray[np.integer], mask: Mask) -> Labels:
    return np.where(mask, labels, 0).astype(np.uint8)


def _on_slice(
    probabilities: NDArray[np.float32], head: HeadInTemplate, placed: PlacedSlice
) -> Labels:
    fine, fine_grid = refine_labels(probabilities, head.grid)
    native = labels_on_stack(fine, fine_grid, placed.stack, np.eye(4))
    return np.asarray(native[placed.middle])
