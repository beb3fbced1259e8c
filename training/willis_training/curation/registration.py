"""Smooth registration of a head to a template: affine, then SyN (the only ANTs import)."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ants
import numpy as np
from numpy.typing import NDArray

from willis_models.volume import Volume

Field = NDArray[np.float32]


@dataclass(frozen=True)
class RegistrationSettings:
    """How hard SyN may deform; variances in squared voxels of the working grid.

    ``flow_variance`` smooths each update, ``total_variance`` the whole field: the larger, the
    smoother and the less able to follow single sulci.
    """

    metric: str = "mattes"
    metric_parameter: int = 32
    iterations: tuple[int, ...] = (60, 40, 6)
    gradient_step: float = 0.2
    flow_variance: float = 3.0
    total_variance: float = 0.5


@dataclass(frozen=True)
class Mapping:
    """From a head (LPS mm) to the template (LPS mm): x -> matrix @ (x + displacement) + offset.

    ``displacement_mm`` and ``inverse_displacement_mm`` (z, y, x, 3) lie on the fixed image's grid;
    both live before the affine part, so that composing them gives back the same point.
    """

    matrix: NDArray[np.float64]
    offset_mm: NDArray[np.float64]
    displacement_mm: Field
    inverse_displacement_mm: Field


def register(fixed: Volume, moving: Volume, settings: RegistrationSettings) -> Mapping:
    """Map the fixed head to the moving template; both need orthogonal axes, intensities 0-1."""
    with tempfile.TemporaryDirectory() as folder:
        answer = ants.registration(
            _to_ants(fixed),
            _to_ants(moving),
            type_of_transform="SyN",
            outprefix=f"{folder}/",
            grad_step=settings.gradient_step,
            flow_sigma=settings.flow_variance,
            total_sigma=settings.total_variance,
            syn_metric=settings.metric,
            syn_sampling=settings.metric_parameter,
            reg_iterations=settings.iterations,
            random_seed=1,
        )
        forward, affine = answer["fwdtransforms"]
        inverse = answer["invtransforms"][1]
        matrix, offset_mm = _read_affine(affine)
        return Mapping(matrix, offset_mm, _read_field(forward), _read_field(inverse))


def _to_ants(volume: Volume) -> Any:
    """ANTs wants (x, y, z) arrays with origin, spacing and direction in LPS."""
    affine = volume.affine_lps
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[::-1]
    return ants.from_numpy(
        np.ascontiguousarray(volume.voxels.transpose(2, 1, 0), dtype=np.float32),
        origin=affine[:3, 3].tolist(),
        spacing=spacing.tolist(),
        direction=affine[:3, [2, 1, 0]] / spacing,
    )


def _read_affine(path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ITK's centred affine as a matrix and an offset, y = matrix @ x + offset."""
    transform = ants.read_transform(path)
    values: Sequence[float] = transform.parameters
    centre = np.asarray(transform.fixed_parameters, dtype=np.float64)[:3]
    matrix = np.asarray(values[:9], dtype=np.float64).reshape(3, 3)
    return matrix, np.asarray(values[9:12]) + centre - matrix @ centre


def _read_field(path: str) -> Field:
    """A displacement field as (z, y, x, 3), components (x, y, z) in LPS mm."""
    field = ants.image_read(path).numpy().transpose(2, 1, 0, 3)
    return np.ascontiguousarray(field, dtype=np.float32)
