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

    def options(self) -> dict[str, Any]:
        """As antspyx names them; a fixed seed, so that the same images give the same field."""
        return {
            "grad_step": self.gradient_step,
            "flow_sigma": self.flow_variance,
            "total_sigma": self.total_variance,
            "syn_metric": self.metric,
            "syn_sampling": self.metric_parameter,
            "reg_iterations": self.iterations,
            "random_seed": 1,
        }


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
            **settings.options(),
        )
        forward, affine = answer["fwdtransforms"]
        inverse = answer["invtransforms"][1]
        matrix, offset_mm = _read_affine(affine)
        return Mapping(matrix, offset_mm, _read_field(forward), _read_field(inverse))


def register_several(
    fixed: Sequence[Volume], moving: Sequence[Volume], settings: RegistrationSettings
) -> Mapping:
    """Deform only, by several pairs of images at once, each with the same weight.

    For images that lie in one space already; the mapping's affine part is the identity.
    """
    pairs = [(_to_ants(f), _to_ants(m)) for f, m in zip(fixed, moving, strict=True)]
    extras = [
        (settings.metric, one, other, 1.0, settings.metric_parameter) for one, other in pairs[1:]
    ]
    with tempfile.TemporaryDirectory() as folder:
        answer = ants.registration(
            *pairs[0],
            type_of_transform="SyNOnly",
            initial_transform="Identity",
            multivariate_extras=extras or None,
            outprefix=f"{folder}/",
            **settings.options(),
        )
        forward, inverse = _fields(answer)
        return Mapping(np.eye(3), np.zeros(3), _read_field(forward), _read_field(inverse))


def _fields(answer: Any) -> tuple[str, str]:
    """The files of the two displacement fields, whatever else the answer lists."""
    forward = next(path for path in answer["fwdtransforms"] if path.endswith("Warp.nii.gz"))
    inverse = next(path for path in answer["invtransforms"] if path.endswith("Warp.nii.gz"))
    return forward, inverse


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
