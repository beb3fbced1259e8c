"""A results folder of a bundle: what was answered, how, and what the service would reject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.training.aspects.tiny_cases import bank, fill
from tests.unit.training.labelled_head import anatomy
from willis_models.findings import ModelIdentity
from willis_models.runtime.bundle import latest_bundle
from willis_training.analysis.oddities import Prepared
from willis_training.analysis.outliers import FEATURES
from willis_training.analysis.results import (
    load_about,
    load_case,
    load_training_features,
    save_case,
)
from willis_training.aspects.analysis_results import Desk, Study, answer, write_results
from willis_training.curation.heads import save_head
from willis_training.datasets.lesions import save_bank

SHAPE = (6, 8, 8)


class Threshold:
    """A network of one voxel: foreground where the image is above its limit."""

    identity = ModelIdentity(name="t", version="1", weights_sha256="0", execution_provider="none")

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def __call__(self, network_input: NDArray[np.float32]) -> NDArray[np.float32]:
        above = 1.0 / (1.0 + np.exp(-20.0 * (network_input[0] - self.limit)))
        return np.stack([1.0 - above, above]).astype(np.float32)


def study() -> Study:
    truth = np.zeros(SHAPE, dtype=np.uint8)
    truth[2:4, 3:6, 2:5] = 1
    image = (0.3 + 0.4 * truth + 0.001 * np.arange(truth.size).reshape(SHAPE) % 0.01).astype(
        np.float32
    )
    return Study(Prepared(image, np.ones(SHAPE, dtype=bool), truth), {"noise_hu": 2.0})


def test_an_answer_holds_truth_facts_features_and_every_way_to_answer(tmp_path: Path) -> None:
    desk = Desk(Threshold(0.5), (Threshold(0.1), Threshold(0.1)), (2.0, 2.0, 2.0))
    save_case(tmp_path, answer(desk, "head_04_9000", "test", study(), with_variants=True))
    found = load_case(tmp_path / "head_04_9000.npz")
    np.testing.assert_array_equal(found.labels, found.truth)
    assert found.facts == {"noise_hu": 2.0} and found.spacing_mm == (2.0, 2.0, 2.0)
    assert found.features is not None and found.features.shape == (len(FEATURES),)
    assert set(found.variants) == {"7 shifted copies", "ensemble of 3"}
    np.testing.assert_array_equal(found.variants["7 shifted copies"].labels, found.truth)
    assert found.variants["ensemble of 3"].labels.all(), "two of three call everything foreground"
    assert found.variants["ensemble of 3"].seconds > found.seconds


def test_without_members_there_is_no_ensemble_and_an_odd_case_has_no_variants() -> None:
    desk = Desk(Threshold(0.5), (), (2.0, 2.0, 2.0))
    assert set(answer(desk, "a", "test", study(), True).variants) == {"7 shifted copies"}
    assert answer(desk, "a", "odd", study(), False).variants == {}


def test_a_study_that_the_service_would_reject_is_reported_and_left_out(tmp_path: Path) -> None:
    for kind in ("acute", "chronic"):
        save_bank(bank(), tmp_path / f"lesions_{kind}.npz")
    fill(tmp_path / "cases", ("head_01", "head_02"))
    (tmp_path / "heads").mkdir()
    save_head(anatomy("head_04").head, tmp_path / "heads")
    for training_head in ("head_01", "head_02"):  # known by name only: their cases are prepared
        (tmp_path / "heads" / f"{training_head}.npz").touch()
    said: list[str] = []

    write_results(latest_bundle("aspects"), tmp_path, tmp_path / "out", 1, (), said.append)

    assert any(line.startswith("head_04_9000: rejected as ") for line in said)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "about.json",
        "training_features.npz",
    ]
    training = load_training_features(tmp_path / "out")
    assert training is not None and set(training.groups) == {"head_01", "head_02"}
    assert load_about(tmp_path / "out").label_names[1] == "C left"
