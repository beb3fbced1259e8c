"""A run learns, resumes without a trace, and repeats itself bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.unit.training.fitting.toy_store import TRAIN, VALIDATION, toy_run, toy_store
from willis_training.fitting.config import RunConfig
from willis_training.fitting.fit import fit, fit_from_file
from willis_training.fitting.listener import Lines
from willis_training.fitting.loop import TrainingDiverged
from willis_training.fitting.result import FitResult, read_result
from willis_training.fitting.samples import CaseStore
from willis_training.fitting.state import RunChanged
from willis_training.networks.build import build_network


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CaseStore:
    return toy_store(tmp_path_factory.mktemp("toy") / "store")


def run(config: RunConfig, store: CaseStore, listener: Lines | None = None) -> FitResult:
    return fit(config, TRAIN, VALIDATION, store, listener)


def checkpoint(folder: Path) -> dict:
    return torch.load(folder / "last.pt", weights_only=True)


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def stopped_at_first_validation(config: RunConfig, store: CaseStore, copy: Path) -> FitResult:
    """Run to the end, but keep in ``copy`` what lay on disk after the first validation."""

    def keep(line: str) -> None:
        if line.startswith("step 3 "):
            shutil.copytree(config.folder, copy)

    return run(config, store, Lines(keep))


WAYS = {
    "averaged weights": {},
    "momentum, accumulated gradients, no average": {
        "ema": None,
        "at_once": 1,
        "optimiser": {"name": "sgd", "learning_rate": 1e-2},
    },
    "samples read by another process": {"hardware": {"workers": 1}},
    "painted samples": {"painting": {"share": 0.7}},
    "dropout, weights that never learn, recomputed features": {
        "network": {
            "kind": "unetr",
            "patch": (16, 16, 32),
            "feature_size": 4,
            "hidden_size": 24,
            "token_heads": 2,
            "dropout": 0.2,
            "gradient_checkpointing": True,
        }
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_interrupted_ends_as_the_unbroken_one_bit_for_bit(
    tmp_path: Path, store: CaseStore, way: str
) -> None:
    unbroken = toy_run(tmp_path / "unbroken", **WAYS[way])
    first = stopped_at_first_validation(unbroken, store, tmp_path / "resumed")
    assert checkpoint(tmp_path / "resumed")["step"] == 3
    said: list[str] = []

    second = run(toy_run(tmp_path / "resumed", **WAYS[way]), store, Lines(said.append))

    assert [line.split()[1] for line in said if line.startswith("step")] == ["6"]
    one, other = checkpoint(tmp_path / "unbroken"), checkpoint(tmp_path / "resumed")
    assert same(one["network"], other["network"])
    assert same(one["average"], other["average"])
    for name, held in one["optimiser"]["state"].items():
        assert same(held, other["optimiser"]["state"][name])
    assert first.history == second.history
    assert first.weights_sha256 == second.weights_sha256


def test_the_same_seed_and_data_give_the_same_weights_and_another_seed_others(
    tmp_path: Path, store: CaseStore
) -> None:
    first, again = (run(toy_run(tmp_path / name), store) for name in ("first", "again"))
    other = run(toy_run(tmp_path / "other", seed=8), store)

    assert first.weights_sha256 == again.weights_sha256
    assert first.data_digest == again.data_digest == other.data_digest
    assert first.weights_sha256 != other.weights_sha256


def test_other_contents_have_another_digest(tmp_path: Path, store: CaseStore) -> None:
    other = toy_store(tmp_path / "store", cases=6)

    assert store.digest(TRAIN) == other.digest(reversed(TRAIN))
    assert store.digest(TRAIN) != other.digest(["case_0", "case_1", "case_5"])


def test_training_finds_the_box(tmp_path: Path, store: CaseStore) -> None:
    config = toy_run(tmp_path, iterations=40, validate_every=20)

    result = run(config, store)

    assert result.best_dice > 0.6
    assert result.history[-1].loss < result.history[0].loss
    assert result.history[-1].dice == {"lesion": result.history[-1].mean_dice}


def test_a_run_leaves_its_plan_history_weights_and_result(tmp_path: Path, store: CaseStore) -> None:
    config = toy_run(tmp_path)

    result = run(config, store)

    assert read_result(tmp_path) == result
    assert result.steps == 6 and not result.stopped_early
    assert result.rates.generator_per_s > 0 and result.rates.network_per_s > 0
    assert 0 <= result.rates.starved_share <= 1
    network = build_network(config.network)
    network.load_state_dict(torch.load(result.best_weights, weights_only=True))
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6]
    assert "Research use only" in (tmp_path / "result.json").read_text()
    assert not list(tmp_path.glob("*.part"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path, store: CaseStore) -> None:
    first, said = run(toy_run(tmp_path), store), []

    again = run(toy_run(tmp_path), store, Lines(said.append))

    assert said == [] and again == first


def test_a_folder_with_another_run_is_refused_by_name_of_what_differs(
    tmp_path: Path, store: CaseStore
) -> None:
    run(toy_run(tmp_path, iterations=1), store)

    with pytest.raises(RunChanged, match=r"optimiser\.learning_rate, seed"):
        run(toy_run(tmp_path, iterations=1, seed=8, optimiser={"learning_rate": 1e-3}), store)
    with pytest.raises(RunChanged, match="the data itself"):
        fit(toy_run(tmp_path, iterations=1), TRAIN[:2], VALIDATION, store)


def test_a_checkpoint_of_an_earlier_version_is_refused_with_the_way_on(
    tmp_path: Path, store: CaseStore
) -> None:
    torch.save({"network": {}, "step": 3, "best": 0.5}, tmp_path / "last.pt")

    with pytest.raises(RunChanged, match="start_from"):
        run(toy_run(tmp_path, iterations=1), store)


def test_where_a_run_computes_may_change_when_it_resumes(tmp_path: Path, store: CaseStore) -> None:
    first = run(toy_run(tmp_path, iterations=1), store)

    assert run(toy_run(tmp_path, iterations=1, hardware={"workers": 1}), store) == first


def test_a_run_stops_when_validation_no_longer_improves(tmp_path: Path, store: CaseStore) -> None:
    config = toy_run(
        tmp_path,
        iterations=50,
        validate_every=1,
        optimiser={"learning_rate": 1e-9},
        early_stopping={"patience": 2, "min_delta": 0.01},
    )

    result = run(config, store)

    assert result.stopped_early and result.steps == 3
    assert run(config, store).steps == 3


def test_a_run_can_begin_with_the_weights_of_an_earlier_one(
    tmp_path: Path, store: CaseStore
) -> None:
    earlier = run(toy_run(tmp_path / "earlier"), store)
    still = {"learning_rate": 1e-12, "weight_decay": 0.0}
    config = toy_run(
        tmp_path / "later", iterations=1, start_from=earlier.best_weights, optimiser=still
    )

    later = run(config, store)

    first, second = (torch.load(r.best_weights, weights_only=True) for r in (earlier, later))
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)


def test_a_step_of_four_samples_is_the_same_all_at_once_or_one_by_one(
    tmp_path: Path, store: CaseStore
) -> None:
    for at_once in (1, 4):
        config = toy_run(tmp_path / str(at_once), iterations=2, batch=4, at_once=at_once)
        run(config, store)

    one, other = (checkpoint(tmp_path / name)["network"] for name in ("1", "4"))
    assert all(torch.allclose(one[name], other[name], atol=2e-4) for name in one)


def test_bf16_keeps_the_weights_in_single_precision(tmp_path: Path, store: CaseStore) -> None:
    run(toy_run(tmp_path, iterations=1, hardware={"precision": "bf16"}), store)

    assert {value.dtype for value in checkpoint(tmp_path)["network"].values()} == {torch.float32}


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_do(
    tmp_path: Path, store: CaseStore
) -> None:
    config = toy_run(tmp_path, optimiser={"learning_rate": 1e30, "clip_norm": None})

    with pytest.raises(TrainingDiverged, match=r"Lower optimiser\.learning_rate"):
        run(config, store)


@pytest.mark.parametrize(
    ("changes", "train", "reason"),
    [
        ({}, ("case_0", "nobody"), "lacks 1 of the cases, nobody"),
        ({}, ("case_0", "case_3"), "case_3 both teaches and chooses"),
        ({}, (), "At least one case"),
        ({"network": {"in_channels": 2}}, TRAIN, "in_channels"),
        ({"network": {"classes": 1}}, TRAIN, "the labels need 2"),
    ],
)
def test_what_can_not_be_trained_is_refused_before_it_starts(
    tmp_path: Path, store: CaseStore, changes: dict, train: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        fit(toy_run(tmp_path / "run", **changes), train, VALIDATION, store)
    assert not (tmp_path / "run").exists()


def test_the_cases_of_a_run_come_from_its_file_of_folds(tmp_path: Path, store: CaseStore) -> None:
    from willis_training.datasets.splits import Fold, save_folds

    folds = [Fold("fold_0", TRAIN, VALIDATION), Fold("fold_1", VALIDATION, TRAIN)]
    save_folds(folds, tmp_path / "folds.json", {})
    data = {"store": store.folder, "split": tmp_path / "folds.json"}

    chosen = toy_run(tmp_path / "run", iterations=1, data={**data, "fold": "fold_0"})

    assert fit_from_file(chosen).data_digest == store.digest([*TRAIN, *VALIDATION])
    with pytest.raises(ValueError, match="has fold_0, fold_1"):
        fit_from_file(toy_run(tmp_path / "none", data=data))
