"""A head laid onto the template: skull off, affine, then SyN with local cross-correlation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.imaging.register import apply_affine, inverse_of
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.prepare import place_in_template
from willis_models.volume import Array, Floats, Grid, SliceStack, Volume
from willis_training.curation.archive.rules import LabelLimits, RegistrationRules
from willis_training.curation.archive.template_head import HIGH_HU, TemplateHead
from willis_training.curation.label_transfer import inverse_error_mm, jacobian_determinant

if TYPE_CHECKING:
    from willis_training.curation.registration import Mapping

Field = NDArray[np.float32]


@dataclass(frozen=True)
class WarpQuality:
    """How the deformation went, inside the brain.

    ``jacobian_*`` of the deformable part alone (1 = no change of volume); the error is of forward
    followed by inverse; ``similarity`` the correlation of the warped template with the brain.
    """

    jacobian_min: float
    jacobian_p01: float
    jacobian_p99: float
    folded_share: float
    inverse_error_mean_mm: float
    inverse_error_p95_mm: float
    similarity: float

    def failures(self, limits: LabelLimits) -> tuple[str, ...]:
        """A stable reason for each limit that is broken."""
        checks = (
            (self.jacobian_min <= limits.min_jacobian, "warp-folds"),
            (self.folded_share > limits.max_folded_share, "too-many-folded-voxels"),
            (self.jacobian_p01 < limits.jacobian_p01, "warp-shrinks-too-much"),
            (self.jacobian_p99 > limits.jacobian_p99, "warp-stretches-too-much"),
            (self.inverse_error_p95_mm > limits.inverse_error_p95_mm, "inverse-inconsistent"),
            (self.similarity < limits.min_similarity, "unlike-the-template"),
        )
        return tuple(reason for broken, reason in checks if broken)


@dataclass(frozen=True)
class Alignment:
    """The way from a head's world to the template's and back, LPS mm.

    ``to_template`` affine (4, 4) into the template's world; there, on ``grid``, the displacements
    ``forward_mm`` and ``inverse_mm`` (z, y, x, 3), and the head's ``brain``.
    """

    to_template: Floats
    grid: Grid
    forward_mm: Field
    inverse_mm: Field
    brain: NDArray[np.bool_]
    quality: WarpQuality

    def to_atlas(self, points_lps: Array) -> Floats:
        """Points of the head (..., 3) in the template."""
        return self.from_aligned(apply_affine(self.to_template, points_lps))

    def from_aligned(self, points_lps: Array) -> Floats:
        """Points that went through the affine part already (..., 3) in the template."""
        return np.asarray(points_lps + sample_field(self.forward_mm, self.grid, points_lps))

    def to_native(self, template_lps: Array) -> Floats:
        """Points of the template (..., 3) in the head."""
        aligned = template_lps + sample_field(self.inverse_mm, self.grid, template_lps)
        return apply_affine(inverse_of(self.to_template), aligned)

    def in_brain(self, points_lps: Array) -> NDArray[np.bool_]:
        """Which points of the head (..., 3) lie in its brain."""
        index = self.grid.to_index(apply_affine(self.to_template, points_lps))
        inside = ndimage.map_coordinates(
            self.brain.astype(np.float32), np.moveaxis(index, -1, 0), order=1
        )
        return np.asarray(inside > 0.5)


def sample_field(field_mm: Field, grid: Grid, points_lps: Array) -> Floats:
    """A displacement field (z, y, x, 3) at world points (..., 3); its edge value outside."""
    index = np.moveaxis(grid.to_index(points_lps), -1, 0)
    parts = [
        ndimage.map_coordinates(
            field_mm[..., axis], index, order=1, mode="nearest", output=np.float32
        )
        for axis in range(3)
    ]
    return np.stack(parts, axis=-1).astype(np.float64)


def align(stack: SliceStack, template: TemplateHead, rules: RegistrationRules) -> Alignment:
    """Lay a head onto the template. Raises BrainNotPlausible or RegistrationFailed."""
    from willis_training.curation.registration import RegistrationSettings, register_several

    grid = template.grid(rules.spacing_mm)
    head = place_in_template(stack, template.parameters, grid, template.assets)
    fixed = _brain_image(head)
    moving = template.image(grid)
    settings = RegistrationSettings("CC", rules.radius, rules.iterations)
    mapping = register_several([fixed], [moving], settings)
    return Alignment(
        to_template=head.registration.to_template,
        grid=grid,
        forward_mm=mapping.displacement_mm,
        inverse_mm=mapping.inverse_displacement_mm,
        brain=head.brain,
        quality=_quality(fixed, moving, mapping, head.brain),
    )


def _brain_image(head: HeadInTemplate) -> Volume:
    shown = np.where(head.brain, np.clip(head.hu / HIGH_HU, 0.0, 1.0), 0.0)
    return Volume(shown.astype(np.float32), head.grid.affine_lps)


def _quality(
    fixed: Volume, moving: Volume, mapping: Mapping, brain: NDArray[np.bool_]
) -> WarpQuality:
    step_mm = fixed.grid.spacing_mm[0]
    jacobian = jacobian_determinant(mapping.displacement_mm, step_mm)[brain]
    error = inverse_error_mm(mapping.displacement_mm, mapping.inverse_displacement_mm, step_mm)
    index = np.moveaxis(np.indices(brain.shape), 0, -1)
    points = fixed.grid.to_world(index) + mapping.displacement_mm
    where = moving.grid.to_index(points)
    warped = ndimage.map_coordinates(moving.voxels, np.moveaxis(where, -1, 0), order=1)
    either = brain | (warped > 0)
    return WarpQuality(
        jacobian_min=float(jacobian.min()),
        jacobian_p01=float(np.percentile(jacobian, 1)),
        jacobian_p99=float(np.percentile(jacobian, 99)),
        folded_share=float((jacobian <= 0).mean()),
        inverse_error_mean_mm=float(error[brain].mean()),
        inverse_error_p95_mm=float(np.percentile(error[brain], 95)),
        similarity=float(np.corrcoef(fixed.voxels[either], warped[either])[0, 1]),
    )


_ARRAYS = ("to_template", "forward_mm", "inverse_mm", "brain")


def save_alignment(alignment: Alignment, path: Path) -> None:
    """Write an alignment, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    arrays: dict[str, Any] = {name: getattr(alignment, name) for name in _ARRAYS}
    quality = np.array(list(asdict(alignment.quality).values()))
    with partial.open("wb") as file:
        np.savez_compressed(file, grid_affine=alignment.grid.affine_lps, quality=quality, **arrays)
    partial.replace(path)


def load_alignment(path: Path) -> Alignment:
    """Read what ``save_alignment`` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in _ARRAYS}
        z, y, x = arrays["brain"].shape
        return Alignment(
            grid=Grid((z, y, x), stored["grid_affine"]),
            quality=WarpQuality(*(float(value) for value in stored["quality"])),
            **arrays,
        )
