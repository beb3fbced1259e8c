"""From native slices to the network's input: brain, registration, one grid in MNI space.

The same function serves training and service; whatever changes its result is in the manifest.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.errors import RegistrationFailed
from willis_models.findings import QualityItem
from willis_models.imaging.brain import check_plausible, extract_brain
from willis_models.imaging.components import Mask, grow, largest_component
from willis_models.imaging.midplane import midplane_of
from willis_models.imaging.register import (
    Registration,
    apply_affine,
    inverse_of,
    register_affine,
)
from willis_models.imaging.resample import (
    bounding_grid,
    grid_points,
    is_covered,
    resample_stack,
    sample_stack,
    shrink,
)
from willis_models.manifest import IntensityTransform, Manifest
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import (
    AspectsParameters,
    network_grid,
    parameters_of,
)
from willis_models.pipelines.aspects.screening import screen
from willis_models.pipelines.base import NOTHING_ASKED, Assets, Case, Prepared, Request
from willis_models.volume import Grid, SliceStack, Volume

ROLE = "ncct"


def prepare(
    case: Case, manifest: Manifest, assets: Assets, _request: Request = NOTHING_ASKED
) -> Prepared:
    """The network's input (1, z, y, x) and the head on the same grid.

    Raises BrainNotPlausible or RegistrationFailed where the anatomy can't be found.
    """
    parameters = parameters_of(manifest)
    stack = case[ROLE].stack
    head = place_in_template(stack, parameters, network_grid(manifest), assets)
    image = normalise(np.where(head.brain, head.hu, 0.0), manifest.inputs[0].intensity)
    return Prepared(image[None], _quality(head, parameters), head)


def normalise(hu: NDArray[np.float32], intensity: IntensityTransform) -> NDArray[np.float32]:
    """Clip and scale to [0, 1]."""
    scaled = (hu - intensity.low) / (intensity.high - intensity.low)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def place_in_template(
    stack: SliceStack, parameters: AspectsParameters, grid: Grid, assets: Assets
) -> HeadInTemplate:
    """Find the brain, align it with the template and sample it there."""
    coarse = resample_stack(stack, bounding_grid(stack, parameters.registration.grid_spacing_mm))
    rough = extract_brain(coarse, parameters.brain.limits())
    template = Volume(
        assets["template_hu"].astype(np.float32),
        parameters.template_grid(assets["template_hu"].shape).affine_lps,
    )
    image = coarse.with_voxels(np.where(rough, np.clip(coarse.voxels, 0.0, 80.0), 0.0))
    registration = register_affine(image, template, parameters.registration.plan())
    _check_registration(registration, parameters)
    brain = _cut_to_template(rough, coarse.grid, registration, parameters, assets)
    brain_ml = check_plausible(brain, coarse.grid.spacing_mm[0], parameters.brain.limits())
    return _sample(stack, coarse.grid, brain, brain_ml, grid, registration)


def _sample(
    stack: SliceStack,
    coarse_grid: Grid,
    brain: Mask,
    brain_ml: float,
    grid: Grid,
    registration: Registration,
) -> HeadInTemplate:
    points = apply_affine(inverse_of(registration.to_template), grid_points(grid))
    smaller = shrink(stack, min(grid.spacing_mm))
    index = np.moveaxis(coarse_grid.to_index(points), -1, 0)
    inside = ndimage.map_coordinates(brain.astype(np.float32), index, order=1) > 0.5
    return HeadInTemplate(
        grid=grid,
        hu=sample_stack(smaller, points),
        brain=inside,
        covered=is_covered(stack, points),
        registration=registration,
        brain_ml=brain_ml,
    )


def _cut_to_template(
    rough: Mask,
    coarse_grid: Grid,
    registration: Registration,
    parameters: AspectsParameters,
    assets: Assets,
) -> Mask:
    """Remove what lies clearly outside the template's brain: neck, orbits."""
    template_brain = assets["template_brain"] > 0
    template_grid = parameters.template_grid(template_brain.shape)
    limits = parameters.registration
    allowed = grow(template_brain, limits.template_margin_mm / limits.template_spacing_mm)
    points = apply_affine(registration.to_template, grid_points(coarse_grid))
    index = np.moveaxis(template_grid.to_index(points), -1, 0)
    near = ndimage.map_coordinates(allowed.astype(np.float32), index, order=1) > 0.5
    return largest_component(rough & near)


def _check_registration(registration: Registration, parameters: AspectsParameters) -> None:
    limits = parameters.registration
    if registration.similarity < limits.min_similarity:
        raise RegistrationFailed(
            f"The head matches the template with a correlation of only "
            f"{registration.similarity:.2f} (at least {limits.min_similarity:.2f} is needed)."
        )
    turned_deg = midplane_of(registration.to_template).rotation_deg
    if turned_deg > limits.max_roll_deg:
        raise RegistrationFailed(
            f"The head is turned by {turned_deg:.0f} degrees; sides can't be compared."
        )


def _quality(head: HeadInTemplate, parameters: AspectsParameters) -> tuple[QualityItem, ...]:
    limits, plane = parameters.registration, head.midplane
    similarity = head.registration.similarity
    return (
        QualityItem(
            code="BRAIN_VOLUME",
            outcome="pass",
            message="The brain mask is plausible.",
            value=round(head.brain_ml, 1),
            unit="mL",
        ),
        QualityItem(
            code="REGISTRATION_SIMILARITY",
            outcome="pass" if similarity >= limits.warn_similarity else "warn",
            message="Correlation of the aligned brain with the template.",
            value=round(similarity, 3),
            unit="1",
        ),
        QualityItem(
            code="HEAD_ROTATION",
            outcome="pass",
            message=(
                "Angle of the midplane against the scanner's: "
                f"roll {plane.roll_deg:z.0f}, yaw {plane.yaw_deg:z.0f} degrees."
            ),
            value=round(plane.rotation_deg, 1),
            unit="deg",
        ),
        QualityItem(
            code="MIDPLANE_SYMMETRY",
            outcome="pass" if head.symmetry >= limits.warn_symmetry else "warn",
            message="Correlation of the brain with its mirror image at the midplane.",
            value=round(head.symmetry, 3),
            unit="1",
        ),
        *screen(head, parameters.tissue),
    )
