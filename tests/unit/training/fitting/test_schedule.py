"""What follows from the step alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from willis_training.fitting.config import EarlyStopping, RunConfig
from willis_training.fitting.schedule import has_stalled, learning_rate, share_kept

RULE = EarlyStopping(patience=2, min_delta=0.01)


def config(name: str) -> RunConfig:
    return RunConfig.model_validate(
        {
            "folder": Path("nowhere"),
            "iterations": 110,
            "optimiser": {"learning_rate": 1.0},
            "schedule": {"name": name, "warm_up": 10, "floor": 0.1},
        }
    )


def test_the_rate_rises_in_a_line_to_its_highest_value() -> None:
    rates = [learning_rate(config("cosine"), step) for step in range(11)]

    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "halfway", "end"),
    [("cosine", 0.55, 0.1), ("polynomial", 0.1 + 0.9 * 0.5**0.9, 0.1), ("constant", 1.0, 1.0)],
)
def test_the_rate_then_falls_to_its_floor_in_the_named_way(
    name: str, halfway: float, end: float
) -> None:
    assert learning_rate(config(name), 60) == pytest.approx(halfway)
    assert learning_rate(config(name), 110) == pytest.approx(end)


def test_the_average_is_young_at_first() -> None:
    assert share_kept(0.995, 0) == pytest.approx(0.1)
    assert share_kept(0.995, 100_000) == 0.995


@pytest.mark.parametrize(
    ("dices", "stalled"),
    [
        ([0.5, 0.5], False),
        ([0.5, 0.5, 0.505], True),
        ([0.5, 0.4, 0.52], False),
        ([0.5, 0.6, 0.4, 0.4], True),
    ],
)
def test_a_run_has_stalled_after_patience_validations_without_a_rise(
    dices: list[float], stalled: bool
) -> None:
    assert has_stalled(dices, RULE) is stalled
    assert not has_stalled(dices, None)
