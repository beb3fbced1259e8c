"""Affine registration to the shipped template: known transforms come back, poor matches show."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from tests.unit.models.phantoms import ellipsoid, rotation, shipped_parameters
from willis_models.errors import RegistrationFailed
from willis_models.imaging.register import (
    Registration,
    RegistrationPlan,
    apply_affine,
    inverse_of,
    register_affine,
    to_sitk,
)
from willis_models.imaging.resample import grid_points, lps_grid
from willis_models.runtime.bundle import latest_bundle
from willis_models.volume import Volume

SCANNED = lps_grid((100, 120, 96), 2.0, (-95.0, -115.0, -90.0))


def affine(linear: np.ndarray, shift_mm: tuple[float, float, float]) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, shift_mm
    return matrix


SHEAR = np.array([[1.0, 0.03, 0.0], [0.0, 1.0, -0.04], [0.02, 0.0, 1.0]])
STRETCH = np.diag([1.06, 0.95, 1.02])
KNOWN = {
    "rolled": affine(rotation(roll_deg=12.0, yaw_deg=-8.0), (3.0, 2.0, -5.0)),
    "chin up": affine(rotation(pitch_deg=22.0), (0.0, 6.0, -4.0)),
    "chin down and smaller": affine(rotation(pitch_deg=-18.0) * 1.08, (-5.0, 4.0, 8.0)),
    "sheared": affine(rotation(5.0, 6.0, 7.0) @ SHEAR @ STRETCH, (4.0, 4.0, 4.0)),
}


def the_plan() -> RegistrationPlan:
    return shipped_parameters().registration.plan()


@cache
def the_template() -> Volume:
    hu = latest_bundle("aspects").assets["template_hu"].astype(np.float32)
    return Volume(hu, shipped_parameters().template_grid(hu.shape).affine_lps)


def scanned(to_template: np.ndarray) -> Volume:
    """The template's brain in a scanner whose world is mapped to the template's by the affine."""
    template = the_template()
    index = template.grid.to_index(apply_affine(to_template, grid_points(SCANNED)))
    voxels = ndimage.map_coordinates(template.voxels, np.moveaxis(index, -1, 0), order=1)
    return Volume(voxels, SCANNED.affine_lps)


@cache
def registered(name: str) -> Registration:
    return register_affine(scanned(KNOWN[name]), the_template(), the_plan())


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_affine_is_recovered_within_a_millimetre(name: str) -> None:
    template = the_template()
    points = grid_points(template.grid)[template.voxels > 0]
    native = apply_affine(inverse_of(KNOWN[name]), points)

    found = registered(name)

    error_mm = np.linalg.norm(apply_affine(found.to_template, native) - points, axis=-1)
    assert error_mm.max() < 1.0
    assert found.similarity > 0.98


def test_the_same_input_gives_the_same_transform() -> None:
    again = register_affine(scanned(KNOWN["rolled"]), the_template(), the_plan())

    np.testing.assert_array_equal(again.to_template, registered("rolled").to_template)


def test_a_mirrored_head_is_never_matched_by_a_reflection() -> None:
    head = scanned(KNOWN["rolled"])
    mirrored = head.with_voxels(head.voxels[..., ::-1].copy())

    found = register_affine(mirrored, the_template(), the_plan())

    assert np.linalg.det(found.to_template[:3, :3]) > 0.5
    assert found.to_template[0, 0] > 0.9


def test_the_quality_figure_drops_for_what_is_no_brain() -> None:
    points = grid_points(SCANNED)
    plate = ellipsoid(points, (85.0, 85.0, 18.0)) & (points[..., 0] > -30.0)
    noise = np.random.default_rng(0).uniform(1.0, 80.0, SCANNED.shape)
    garbage = Volume(np.where(plate, noise, 0.0), SCANNED.affine_lps)

    found = register_affine(garbage, the_template(), the_plan())

    assert found.similarity < shipped_parameters().registration.warn_similarity


def test_nothing_can_not_be_aligned() -> None:
    nothing = Volume(np.zeros(SCANNED.shape), SCANNED.affine_lps)

    with pytest.raises(RegistrationFailed):
        register_affine(nothing, the_template(), the_plan())


def test_an_image_keeps_its_world_in_simple_itk() -> None:
    voxels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    volume = Volume(voxels, lps_grid((2, 3, 4), 2.5, (7.0, -3.0, 11.0)).affine_lps)

    image = to_sitk(volume)

    point = image.TransformContinuousIndexToPhysicalPoint([3.0, 2.0, 1.0])
    np.testing.assert_allclose(point, volume.grid.to_world(np.array([1.0, 2.0, 3.0])))
    assert image.GetPixel(3, 2, 1) == voxels[1, 2, 3]
