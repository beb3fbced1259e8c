"""One file decides a run, single values may be changed, and nothing misspelt goes unseen."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from willis_training.fitting.config import RunConfig, changed_keys, read_config, write_config


def written(folder: Path, text: str) -> Path:
    path = folder / "lesions.yaml"
    path.write_text(text)
    return path


def test_a_run_is_named_after_its_file_and_keeps_defaults_for_what_is_not_said(
    tmp_path: Path,
) -> None:
    config = read_config(written(tmp_path, "batch: 4"))

    assert (config.name, config.folder, config.batch) == ("lesions", Path("runs/lesions"), 4)
    assert config.network.kind == "unet_se"


def test_single_values_are_set_by_dotted_keys(tmp_path: Path) -> None:
    changes = [
        "optimiser.learning_rate=1e-3",
        "network.kind=segresnet",
        "network.patch=[32, 32, 32]",
        "data.train=[a, b]",
        "early_stopping.patience=3",
        "ema=null",
        "seed=11",
    ]

    config = read_config(written(tmp_path, "network: {classes: 3}\nearly_stopping:"), changes)

    assert config.optimiser.learning_rate == 1e-3
    assert (config.network.kind, config.network.classes) == ("segresnet", 3)
    assert config.network.patch == (32, 32, 32)
    assert config.data.train == ("a", "b")
    assert config.early_stopping is not None and config.early_stopping.patience == 3
    assert config.ema is None and config.seed == 11


@pytest.mark.parametrize(
    ("text", "changes", "reason"),
    [
        ("optimizer: {name: sgd}", [], "optimizer"),
        ("", ["optimiser.learning_rates=1"], "learning_rates"),
        ("", ["optimiser.learning_rate"], "key=value"),
        ("seed: 3", ["seed.low=1"], "seed has no parts"),
        ("network: {patch: [30, 32, 32]}", [], "multiples of 8"),
        ("network: {dropout: 0.1}", [], "no dropout"),
        ("{batch: 3, at_once: 2}", [], "not a multiple"),
        ("loss: {name: tversky, class_weights: [1, 1]}", [], "takes no class_weights"),
        ("- a list", [], "holds no mapping"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_it(
    tmp_path: Path, text: str, changes: list[str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read_config(written(tmp_path, text), changes)


def test_a_written_configuration_reads_back_as_itself(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, "painting: {share: 0.2}\nstart_from: best.pt"))

    write_config(config, tmp_path / "run.yaml")

    assert read_config(tmp_path / "run.yaml") == config


def test_only_what_changes_the_weights_counts_as_a_change() -> None:
    before = RunConfig(folder=Path("a")).model_dump(mode="json")
    after = RunConfig.model_validate(
        {"folder": "b", "seed": 1, "hardware": {"workers": 3}, "schedule": {"floor": 0.5}}
    )

    assert changed_keys(before, after) == ["schedule.floor", "seed"]


def test_a_run_that_is_older_than_a_key_had_its_default() -> None:
    config = RunConfig(folder=Path("a"))
    older = config.model_dump(mode="json", exclude={"augmentation": {"left_out"}, "overlap": True})
    assert "left_out" not in older["augmentation"] and "overlap" not in older

    assert changed_keys(older, config) == []
    assert changed_keys(older, config.model_copy(update={"overlap": 0.5})) == ["overlap"]


def test_the_shipped_example_is_a_valid_run() -> None:
    text = files("willis_training.fitting").joinpath("example.yaml").read_text()

    config = RunConfig.model_validate(yaml.safe_load(text))

    assert config.data.store == Path("prepared/lesions")
    assert config.early_stopping is not None
