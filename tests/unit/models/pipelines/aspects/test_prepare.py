"""From native slices to the network's input, on a head made from the shipped template."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from tests.unit.models.phantoms import (
    make_stack,
    positions,
    rotation,
    shipped_manifest,
    shipped_parameters,
)
from willis_models.errors import InputError
from willis_models.findings import QualityItem
from willis_models.manifest import IntensityTransform
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.prepare import normalise, prepare
from willis_models.pipelines.base import InputImage, Prepared
from willis_models.runtime.bundle import latest_bundle
from willis_models.volume import SliceStack

ROLL_DEG, YAW_DEG, PITCH_DEG = 9.0, -6.0, 8.0
# The template's brain is a large one.
SIZE = 0.9
CENTRE_LPS = np.array([6.0, -12.0, 0.0])


@cache
def template() -> tuple[np.ndarray, np.ndarray]:
    """HU of a head around the template's brain, and where its brain lies."""
    assets = latest_bundle("aspects").assets
    brain = np.pad(assets["template_brain"] > 0, 12)
    hu = np.pad(assets["template_hu"].astype(np.float32), 12)
    away = ndimage.distance_transform_edt(~brain) * 2.0
    hu = np.where(brain, hu, np.where(away < 3.0, 8.0, np.where(away < 9.0, 1000.0, 25.0)))
    return np.where(away < 15.0, hu, -1000.0).astype(np.float32), brain


def head_at(points: np.ndarray, roll_deg: float = ROLL_DEG) -> np.ndarray:
    """HU of the head, turned and shifted in the scanner, at world points."""
    hu, _ = template()
    turn = rotation(roll_deg, PITCH_DEG, YAW_DEG)
    grid = shipped_parameters().template_grid((88, 108, 90))
    index = grid.to_index((points - CENTRE_LPS) @ turn / SIZE) + 12.0
    return ndimage.map_coordinates(
        hu, np.moveaxis(index, -1, 0), order=1, mode="constant", cval=-1000.0
    )


def scan(roll_deg: float = ROLL_DEG, tilt_deg: float = 10.0, steps: int = 44) -> SliceStack:
    stack = make_stack((steps, 104, 92), 2.4, 5.0, tilt_deg=tilt_deg)
    return stack.with_voxels(np.rint(head_at(positions(stack), roll_deg)).astype(np.int16))


@cache
def prepared() -> Prepared:
    case = {"ncct": InputImage(scan())}
    return prepare(case, shipped_manifest(), latest_bundle("aspects").assets)


def head() -> HeadInTemplate:
    context = prepared().context
    assert isinstance(context, HeadInTemplate)
    return context


def quality() -> dict[str, QualityItem]:
    return {item.code: item for item in prepared().quality}


def test_the_network_sees_the_stripped_head_in_the_template_between_zero_and_one() -> None:
    image = prepared().network_input
    spec = shipped_manifest().inputs[0]

    assert image.shape == (1, *spec.shape)
    assert image.dtype == np.float32
    assert (image[0][~head().brain] == 0.0).all()
    inside = image[0][head().brain]
    assert np.median(inside) == pytest.approx(30.0 / spec.intensity.high, abs=0.05)


def test_the_head_lies_on_the_template_again() -> None:
    hu, _ = template()
    grid = shipped_parameters().template_grid((88, 108, 90))
    # Thick slices blur the skull into the brain's rim.
    inner = ndimage.binary_erosion(head().brain, iterations=3)
    at = grid.to_index(head().grid.to_world(np.argwhere(inner).astype(float))) + 12.0
    expected = ndimage.map_coordinates(hu, at.T, order=1)

    assert np.abs(head().hu[inner] - expected).mean() < 2.0
    assert np.corrcoef(head().hu[inner], expected)[0, 1] > 0.8


def test_the_midplane_is_where_the_head_was_put() -> None:
    plane = head().midplane

    assert plane.roll_deg == pytest.approx(ROLL_DEG, abs=1.0)
    assert plane.yaw_deg == pytest.approx(YAW_DEG, abs=1.0)
    assert plane.distance_mm(CENTRE_LPS) == pytest.approx(0.0, abs=1.0)
    assert plane.distance_mm(CENTRE_LPS + np.array([30.0, 0.0, 0.0])) > 25.0


def test_quality_says_how_well_the_head_was_placed() -> None:
    found = quality()

    assert {item.outcome for item in found.values()} == {"pass"}
    assert found["BRAIN_VOLUME"].value == pytest.approx(head().brain_ml, abs=0.1)
    assert found["REGISTRATION_SIMILARITY"].value > 0.9
    assert found["HEAD_ROTATION"].value == pytest.approx(np.hypot(ROLL_DEG, YAW_DEG), abs=1.0)
    assert found["MIDPLANE_SYMMETRY"].value > 0.8


def test_what_the_scan_did_not_reach_is_not_covered() -> None:
    low = head().grid.shape[0] // 4

    assert head().covered[low:][head().brain[low:]].all()


def test_a_head_rolled_beyond_the_limit_is_refused() -> None:
    case = {"ncct": InputImage(scan(roll_deg=40.0, tilt_deg=0.0))}

    with pytest.raises(InputError):
        prepare(case, shipped_manifest(), latest_bundle("aspects").assets)


def test_half_a_head_is_refused() -> None:
    whole = scan()
    half = slice(26, 44)
    stack = SliceStack(
        whole.voxels[half], whole.origins_lps[half], whole.row_step_lps, whole.column_step_lps
    )

    with pytest.raises(InputError):
        prepare({"ncct": InputImage(stack)}, shipped_manifest(), latest_bundle("aspects").assets)


def test_normalising_clips_to_the_window_and_scales_it_to_one() -> None:
    hu = np.array([-1000.0, 0.0, 20.0, 80.0, 900.0], dtype=np.float32)

    found = normalise(hu, IntensityTransform(low=0.0, high=80.0))

    np.testing.assert_allclose(found, [0.0, 0.0, 0.25, 1.0, 1.0])
