"""Baseline: the atlas carried into the scan by SyN (antspyx), as label transfer is usually done."""

from __future__ import annotations

from typing import Any

import ants
import numpy as np
from numpy.typing import NDArray

from willis_models.imaging.brain import extract_brain
from willis_models.imaging.resample import bounding_grid, resample_stack, sample_labels
from willis_models.pipelines.aspects.parameters import parameters_of
from willis_models.runtime.bundle import Bundle
from willis_models.volume import SliceStack, Volume
from willis_training.simulation.ncct import SimulatedScan

RESOLUTION_MM = 1.0


def syn_atlas(scan: SimulatedScan, bundle: Bundle) -> NDArray[np.uint8]:
    """Region labels on the native slices: brain at 1 mm, affine and SyN, atlas carried back."""
    parameters = parameters_of(bundle.manifest)
    head = resample_stack(scan.stack, bounding_grid(scan.stack, RESOLUTION_MM))
    brain = extract_brain(head, parameters.brain.limits())
    fixed = _to_ants(head.with_voxels(np.where(brain, np.clip(head.voxels, 0, 80), 0)))
    template = bundle.assets["template_hu"].astype(np.float32)
    affine = parameters.template_grid(template.shape).affine_lps
    moving = _to_ants(Volume(template, affine))
    atlas = _to_ants(Volume(bundle.assets["atlas"].astype(np.float32), affine))
    found = ants.registration(fixed, moving, type_of_transform="SyN", random_seed=1)
    carried = ants.apply_transforms(
        fixed, atlas, found["fwdtransforms"], interpolator="genericLabel"
    )
    labels = np.transpose(carried.numpy()).astype(np.uint8)
    return _on_slices(labels, head, scan.stack)


def _to_ants(volume: Volume) -> Any:
    """A volume as an ANTs image; ITK's world is DICOM's LPS, its arrays are (x, y, z)."""
    spacing = volume.grid.spacing_mm[::-1]
    direction = volume.affine_lps[:3, 2::-1] / np.array(spacing)
    return ants.from_numpy(
        np.transpose(volume.voxels).astype(np.float32),
        origin=volume.affine_lps[:3, 3].tolist(),
        spacing=list(spacing),
        direction=direction,
    )


def _on_slices(labels: NDArray[np.uint8], head: Volume, stack: SliceStack) -> NDArray[np.uint8]:
    _, rows, columns = stack.shape
    j, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    in_plane = j[..., None] * stack.column_step_lps + i[..., None] * stack.row_step_lps
    planes = [sample_labels(labels, head.grid, origin + in_plane) for origin in stack.origins_lps]
    return np.stack(planes)
