"""A trained network becomes a bundle that loads, says what it learnt from, and is calibrated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.infarct.small_run import HELD, small_config, small_run, small_store
from willis_models.pipelines.infarct.parameters import VolumeInterval, parameters_of
from willis_models.runtime.bundle import Bundle, load_bundle
from willis_models.runtime.session import open_predictor, replay_golden
from willis_training.fitting.fit import fit_from_file
from willis_training.infarct.answers import answers_of
from willis_training.infarct.bundle import TrainedNetwork, publish_infarct, training_facts
from willis_training.infarct.bundle_calibration import BASIS, Settings
from willis_training.infarct.losses import LossRow, judged, loss_table

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedNetwork:
    store, run = small_run(tmp_path_factory.mktemp("infarct"))
    return TrainedNetwork(run, store, HELD[2:])


@pytest.fixture(scope="module")
def bundle(trained: TrainedNetwork, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    root = tmp_path_factory.mktemp("bundles")
    table = {"table": "| method | Dice |\n|---|---|\n| network | .5 |"}
    return load_bundle(publish_infarct(trained, root, table, version="0.1.0"))


def test_the_bundle_replays_its_golden_vectors(bundle: Bundle) -> None:
    assert replay_golden(bundle, open_predictor(bundle)) < 1e-4


def test_the_exported_network_says_what_the_trained_one_says(
    bundle: Bundle, trained: TrainedNetwork
) -> None:
    image = trained.store.read(HELD[3]).image
    (expected,) = answers_of(trained.run, trained.store, HELD[3:4])

    found = open_predictor(bundle)(image)[1]
    np.testing.assert_allclose(found, expected.probability, atol=1e-4)


def test_the_manifest_holds_temperature_threshold_and_interval_with_their_basis(
    bundle: Bundle,
) -> None:
    prediction = parameters_of(bundle.manifest).prediction

    assert prediction.interval is not None
    assert prediction.interval.basis == BASIS == "calibrated on simulated data"
    assert prediction.temperature != 1.0
    chosen = bundle.manifest.thresholds["predicted_infarct"].chosen
    assert str(len(HELD[2:])) in chosen and "taught nothing" in chosen


def test_the_manifest_names_material_licences_and_limits(bundle: Bundle) -> None:
    manifest = bundle.manifest

    licences = {one.licence for one in manifest.learnt_from}
    assert {"Apache-2.0", "BSD-2-Clause", "CC BY 4.0"} <= licences
    assert any("simulated" in limit for limit in manifest.limits)
    assert any(limit.startswith("Performance on patients") for limit in manifest.limits)
    assert manifest.training["cases"]["train"] == 3


def test_the_card_shows_the_table_and_what_it_is_not(bundle: Bundle) -> None:
    card = (bundle.folder / "CARD.md").read_text()

    assert "| network | .5 |" in card
    assert "not a measurement" in card
    assert "8 x 16 x 16" not in card and "32 x 80 x 64" in card


def test_a_loss_is_judged_by_what_it_finds(trained: TrainedNetwork) -> None:
    row = judged("Dice + CE", trained.run, 40, trained.store, HELD[:2])

    assert row.cases == 2
    assert 0.0 <= row.mean_dice <= 1.0
    assert row.empty <= 2


def test_the_table_of_losses_shows_who_finds_nothing() -> None:
    rows = [LossRow("BCE", 200, 0.0, 14, 14, 0.0), LossRow("Dice", 200, 0.4, 0, 14, 1.1)]

    table = loss_table(rows)

    assert "| BCE | 200 | 0.000 | 14 of 14 | 0.00 |" in table
    assert len(table.splitlines()) == 4


def test_a_run_that_began_with_another_says_so(trained: TrainedNetwork, tmp_path: Path) -> None:
    first = trained.run / "best.pt"
    config = small_config(tmp_path, 2).model_copy(update={"start_from": first})
    small_store(tmp_path)
    second = replace(trained, run=fit_from_file(config).folder)
    settings = Settings(1.0, 0.5, VolumeInterval(coverage=0.9, quantile_sqrt_ml=1, basis=BASIS), 5)

    assert training_facts(second, settings)["started_from"] == {"iterations": 40, "train": 3}
    assert "started_from" not in training_facts(trained, settings)
