"""The network's input: where each channel lies, how it is scaled, and what a missing one leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.pipelines.infarct.case import PATIENT, map_case, phantom, raw_case
from willis_models.imaging.resample import grid_points
from willis_models.pipelines.base import InputImage, Request
from willis_models.pipelines.infarct.prepare import channel_count, prepare
from willis_models.volume import SliceStack
from willis_training.infarct.contract import draft_manifest, manifest_parts

ROLES = [spec.role for spec in draft_manifest().inputs]
FLAGS = ["cbv", "mtt", "ncct", "cta"]
TISSUE = len(ROLES)


def channels(case: dict[str, InputImage]) -> np.ndarray:
    return prepare(case, draft_manifest(), {}, Request()).network_input


def flag(image: np.ndarray, role: str) -> np.ndarray:
    return image[TISSUE + 1 + FLAGS.index(role)]


def test_there_is_a_channel_for_each_input_the_tissue_and_each_input_that_may_be_missing() -> None:
    image = channels(map_case())

    assert image.shape == (channel_count(draft_manifest()), *draft_manifest().inputs[0].shape)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()


def test_the_maps_values_are_found_at_their_place() -> None:
    prepared = prepare(map_case(), draft_manifest(), {}, Request())
    points = grid_points(prepared.context.grid)
    found = phantom()
    index = np.rint(found.dynamic.mean.to_index(points)).astype(int)
    inside = ((index >= 0) & (index < np.array(found.classes.shape))).all(axis=-1)
    classes = np.zeros(inside.shape, np.uint8)
    classes[inside] = found.classes[tuple(index[inside].T)]
    tmax = prepared.network_input[ROLES.index("tmax")] * 16.0
    sure = prepared.network_input[TISSUE] > 0.99

    assert np.median(tmax[sure & (classes == 3)]) == pytest.approx(6.0, abs=0.3)
    assert np.median(tmax[sure & (classes == 2)]) == pytest.approx(1.0, abs=0.3)


def test_flow_is_relative_to_tissue_that_blood_reaches_in_time() -> None:
    doubled = map_case()
    stack = doubled["cbf"].stack
    doubled["cbf"] = replace(doubled["cbf"], stack=stack.with_voxels(stack.voxels * 2))

    assert channels(doubled)[0] == pytest.approx(channels(map_case())[0], abs=1e-5)


def test_a_missing_input_is_zero_and_says_so() -> None:
    full = map_case()
    sparse = {role: full[role] for role in ("tmax", "cbf")}
    image = channels(sparse)
    brain = prepare(sparse, draft_manifest(), {}, Request()).context.brain

    for role in FLAGS:
        assert (flag(image, role) == 0).all()
        assert (image[ROLES.index(role)] == 0).all()
    assert (flag(channels(full), "mtt")[brain] == 1).mean() > 0.95


def test_a_z_score_of_the_manifest_is_applied_inside_the_brain_only() -> None:
    parts = manifest_parts()
    inputs = [dict(one) for one in parts["inputs"]]
    inputs[3]["intensity"] = {"low": 0.0, "high": 16.0, "mean": 2.0, "sd": 4.0}
    prepared = prepare(map_case(), draft_manifest(inputs=inputs), {}, Request())
    plain = prepare(map_case(), draft_manifest(), {}, Request())

    brain = prepared.context.brain & (plain.network_input[3] > 0)
    scored = prepared.network_input[3]
    assert scored[brain] == pytest.approx((plain.network_input[3][brain] * 16 - 2) / 4, abs=1e-5)
    assert (scored[~prepared.context.brain] == 0).all()


def test_an_ncct_of_a_head_that_moved_is_laid_back_on_the_scan() -> None:
    still = phantom().dynamic.still(phantom().dynamic.frames[0].astype(np.float32))
    shift = np.array([6.0, -4.0, 0.0])
    moved = SliceStack(
        still.voxels, still.origins_lps + shift, still.row_step_lps, still.column_step_lps
    )
    prepared = prepare(
        {**raw_case(), "ncct": InputImage(moved, PATIENT)}, draft_manifest(), {}, Request()
    )
    item = next(one for one in prepared.quality if one.code == "NCCT_ALIGNED")

    assert item.value == pytest.approx(float(np.linalg.norm(shift)), abs=1.5)
    assert (flag(prepared.network_input, "ncct")[prepared.context.brain] == 1).all()


def test_the_grid_lies_about_the_middle_of_the_brain() -> None:
    prepared = prepare(map_case(), draft_manifest(), {}, Request())
    grid = prepared.context.grid
    middle = grid.to_world((np.array(grid.shape) - 1) / 2)

    assert middle == pytest.approx(np.array([0.0, 0.0, 0.0]), abs=6.0)
