"""The gate between torch and ONNX: each figure alone closes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_training.export.parity import (
    ExportDrift,
    Parity,
    compare_runs,
    read_parity,
    save_parity,
)


def answer(*labels: int) -> np.ndarray:
    """Certain probabilities of three classes for these labels, (3, 1, 1, n)."""
    return np.eye(3, dtype=np.float32)[list(labels)].T[:, None, None, :]


@pytest.mark.parametrize(
    "parity",
    [
        Parity(6e-3, 1.0, 0.0),
        Parity(2e-3, 0.998, 0.0),
        Parity(2e-3, 1.0, 0.003),
        Parity(0.0, 0.98, 0.0),
        Parity(0.0, 1.0, 0.02),
        Parity(float("nan"), 1.0, 0.0),
    ],
    ids=["probability", "Dice", "volume", "Dice of ties", "volume of ties", "no number"],
)
def test_each_figure_alone_closes_the_gate(parity: Parity) -> None:
    with pytest.raises(ExportDrift, match="drifts"):
        parity.check()


def test_the_gate_is_open_within_the_limits() -> None:
    Parity(4e-3, 0.9995, 0.001).check()


def test_voxels_that_an_unsure_network_leaves_tied_may_change_their_label() -> None:
    Parity(5e-4, 0.9975, 0.005).check()


def test_the_figures_are_the_worst_of_any_label_in_any_image() -> None:
    expected = iter([answer(0, 1, 2, 2), answer(0, 1, 2, 2)])
    found = iter([answer(0, 1, 2, 2), answer(0, 1, 2, 0)])
    image = np.zeros((1, 1, 1, 4), np.float32)

    parity = compare_runs(lambda _: next(expected), lambda _: next(found), [image, image])

    # Background and class 2: one voxel against two, one of them shared.
    assert parity == Parity(1.0, pytest.approx(2 / 3), 0.5)


def test_a_network_that_gives_no_numbers_does_not_pass_behind_one_that_does() -> None:
    expected = answer(0, 1)
    found = iter([np.full_like(expected, np.nan), expected])
    image = np.zeros((1, 1, 1, 2), np.float32)

    parity = compare_runs(lambda _: expected, lambda _: next(found), [image, image])

    assert not parity.passes


def test_no_image_proves_nothing() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compare_runs(lambda image: image, lambda image: image, [])


def test_figures_can_be_kept_beside_the_file(tmp_path: Path) -> None:
    parity = Parity(1e-4, 0.9999, 1e-5)

    save_parity(parity, tmp_path / "parity.json")

    assert read_parity(tmp_path / "parity.json") == parity
