"""Training leaves inputs out as the service would miss them, and keeps heads apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training.infarct.small_run import HELD, TRAIN, small_config, small_store
from tests.unit.training.infarct.small_store import SHAPE, case
from willis_models.pipelines.infarct.prepare import channel_count
from willis_training.fitting.lesson import collate
from willis_training.infarct import recipe
from willis_training.infarct.contract import draft_manifest
from willis_training.infarct.train import (
    MISSING_SHARE,
    InfarctLesson,
    fit_infarct,
    optional_inputs,
    parts_by_head,
    without,
)


def test_each_input_that_may_be_missing_has_a_channel_and_a_flag_of_its_own() -> None:
    manifest = draft_manifest()
    inputs = optional_inputs(manifest)

    assert [one.role for one in inputs] == [s.role for s in manifest.inputs if not s.required]
    for one in inputs:
        assert manifest.inputs[one.channel].role == one.role
    flags = [one.flag for one in inputs]
    assert flags == list(range(len(manifest.inputs) + 1, channel_count(manifest)))


def test_a_missing_input_and_its_flag_are_zero_and_the_rest_stays() -> None:
    inputs = optional_inputs(draft_manifest())
    image = torch.from_numpy(case(1).image)
    cta = next(one for one in inputs if one.role == "cta")

    found = without(image, ("cta",), inputs)

    assert not found[cta.channel].any() and not found[cta.flag].any()
    kept = [n for n in range(len(image)) if n not in (cta.channel, cta.flag)]
    torch.testing.assert_close(found[kept], image[kept])
    assert image[cta.flag].all(), "the case itself is not changed"


def test_inputs_are_left_out_as_often_as_the_recipe_says_and_flow_never(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    lesson = InfarctLesson(store, TRAIN, HELD[:2], small_config(tmp_path))
    missing = [lesson.missing(number) for number in range(400)]

    for role, share in MISSING_SHARE.items():
        assert np.mean([role in roles for roles in missing]) == pytest.approx(share, abs=0.08)
    required = {spec.role for spec in draft_manifest().inputs if spec.required}
    assert not required & {role for roles in missing for role in roles}
    assert lesson.missing(7) == lesson.missing(7)


def test_a_sample_is_the_same_whoever_makes_it(tmp_path: Path) -> None:
    store = small_store(tmp_path)
    lesson = InfarctLesson(store, TRAIN, HELD[:2], small_config(tmp_path))
    batch = collate([lesson.sample(3), lesson.sample(4)])

    first, second = lesson.change(batch), lesson.change(batch)

    torch.testing.assert_close(first, second)
    assert first[0].shape == (2, channel_count(draft_manifest()), *SHAPE)


def test_a_run_trains_resumes_and_leaves_weights(tmp_path: Path) -> None:
    small_store(tmp_path)

    result = fit_infarct(small_config(tmp_path))

    assert result.best_weights.exists()
    assert fit_infarct(small_config(tmp_path)).weights_sha256 == result.weights_sha256


def test_a_run_without_cases_is_refused(tmp_path: Path) -> None:
    empty = small_config(tmp_path)
    bare = empty.model_copy(update={"data": empty.data.model_copy(update={"train": ()})})

    with pytest.raises(ValueError, match="cases"):
        fit_infarct(bare)


def test_cases_that_calibrate_neither_teach_nor_choose(tmp_path: Path) -> None:
    store = small_store(tmp_path)

    teach, choose, calibrate = parts_by_head(store, ("head_01", "head_02"), ("head_07",))

    assert teach == TRAIN
    assert choose == HELD[:2]
    assert calibrate == HELD[2:]


def test_the_recipe_builds_a_baseline_and_a_better_network_for_every_channel() -> None:
    for name in recipe.NETWORKS:
        made = recipe.run_config("x", ("a",), ("b",), network=name)  # type: ignore[arg-type]
        assert made.network.in_channels == channel_count(draft_manifest())
        assert made.network.patch == recipe.GRID_SHAPE
    assert {loss.name for loss in recipe.LOSSES.values()} == {"bce", "dice", "dice_ce", "tversky"}
