"""The recipe's run: every input that may be missing is missed now and then, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.training.infarct.small_run import TRAIN, small_config, small_store
from willis_models.pipelines.infarct.prepare import channel_count
from willis_training.fitting.fit import fit_from_file
from willis_training.infarct import recipe
from willis_training.infarct.contract import draft_manifest


def test_each_input_that_may_be_missing_has_a_channel_and_a_flag_of_its_own() -> None:
    manifest = draft_manifest()
    left_out = recipe.missing_inputs(manifest)
    optional = [spec.role for spec in manifest.inputs if not spec.required]

    assert [manifest.inputs[one.channels[0]].role for one in left_out] == optional
    flags = [one.channels[1] for one in left_out]
    assert flags == list(range(len(manifest.inputs) + 1, channel_count(manifest)))
    assert [one.share for one in left_out] == [recipe.MISSING_SHARE[role] for role in optional]


def test_a_run_leaves_those_inputs_out() -> None:
    made = recipe.run_config("x", ("a",), ("b",))

    assert made.augmentation.left_out == recipe.missing_inputs(draft_manifest())


def test_a_run_trains_resumes_and_leaves_weights(tmp_path: Path) -> None:
    small_store(tmp_path)

    result = fit_from_file(small_config(tmp_path))

    assert result.best_weights.exists()
    assert fit_from_file(small_config(tmp_path)).weights_sha256 == result.weights_sha256


def test_a_run_without_cases_is_refused(tmp_path: Path) -> None:
    small_store(tmp_path)
    config = small_config(tmp_path)
    bare = config.model_copy(update={"data": config.data.model_copy(update={"train": ()})})

    with pytest.raises(ValueError, match="cases"):
        fit_from_file(bare)
    assert config.data.train == TRAIN


def test_the_recipe_builds_a_baseline_and_a_better_network_for_every_channel() -> None:
    for name in recipe.NETWORKS:
        made = recipe.run_config("x", ("a",), ("b",), network=name)  # type: ignore[arg-type]
        assert made.network.in_channels == channel_count(draft_manifest())
        assert made.network.patch == recipe.GRID_SHAPE
    assert {loss.name for loss in recipe.LOSSES.values()} == {"bce", "dice", "dice_ce", "tversky"}
