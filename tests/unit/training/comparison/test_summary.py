from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from willis_training.comparison.cost import Latency
from willis_training.comparison.page import busy_note, pairs_table, results_table
from willis_training.comparison.picture import draw_comparison
from willis_training.comparison.run import Outcome
from willis_training.comparison.summary import summarise


def person(case: str) -> str:
    return case.partition("_ses-")[0]


CPU = Latency("CPUExecutionProvider", 0.25, 300.0, 0.5)


def outcome(architecture: str, fold: str, dice: float) -> Outcome:
    rng = np.random.default_rng(len(fold))
    return Outcome(
        architecture=architecture,
        fold=fold,
        key="",
        dice={
            f"sub-{fold}{n}_ses-1": {"deep": dice + rng.normal(0, 0.01), "cortex": dice}
            for n in range(8)
        },
        parameters=1_500_000,
        steps=10,
        seconds=60.0,
        cpu_seconds=58.0,
        training_peak_mb=900.0,
        gpu_peak_mb=None,
        model_mb=6.0,
        parity={},
        best_validation_dice=dice,
        device="CPU, 1 of 2 threads",
        latencies=(CPU,),
    )


RUNS = [
    outcome("weak", "one", 0.5),
    outcome("weak", "second", 0.6),
    outcome("strong", "one", 0.7),
    outcome("strong", "second", 0.8),
]


def test_folds_are_pooled_and_the_best_comes_first() -> None:
    summary = summarise(RUNS, person)
    assert list(summary.standings) == ["strong", "weak"]
    strong = summary.standings["strong"]
    assert len(summary.cases) == strong.dice.size == 16
    assert strong.dice_by_class["cortex"] == pytest.approx(0.75)
    assert strong.seconds == 120.0
    assert summary.tests[0].difference == pytest.approx(0.2)
    assert summary.tests[0].p < 0.001


def test_cases_are_paired_by_name_and_not_by_place() -> None:
    turned = replace(RUNS[2], dice=dict(reversed(RUNS[2].dice.items())))
    assert summarise([*RUNS[:2], turned, RUNS[3]], person).tests == summarise(RUNS, person).tests


def test_architectures_judged_on_other_cases_are_not_compared() -> None:
    with pytest.raises(ValueError, match="not judged on the same cases"):
        summarise(RUNS[:3], person)


def test_a_class_that_a_case_lacks_takes_no_part_and_nothing_found_in_nothing_is_right() -> None:
    dice = dict(RUNS[0].dice)
    first, second = list(dice)[:2]
    dice[first] = {"deep": None, "cortex": 0.4}
    dice[second] = {"deep": None, "cortex": None}
    other = replace(RUNS[2], dice={key: {"deep": 0.5, "cortex": 0.5} for key in dice})
    standing = summarise([replace(RUNS[0], dice=dice), other], person).standings["weak"]
    cases = sorted(dice)
    assert standing.dice[cases.index(first)] == pytest.approx(0.4)
    assert standing.dice[cases.index(second)] == 1.0


def test_the_tables_have_a_row_for_each_architecture_and_each_pair() -> None:
    summary = summarise(RUNS, person)
    results = results_table(summary)
    assert "| strong | 0.75" in results
    assert "| 1.50 M | 6.0 | 2.0 (1.9) | 250 | 900 | 300 |" in results
    assert "| strong | weak | +0.200 (" in pairs_table(summary)
    assert "| < .001 | < .001 |" in pairs_table(summary)


def test_times_taken_on_a_busy_machine_are_marked() -> None:
    assert busy_note(0.2) == ""
    assert "load average up to 900.0" in busy_note(900.0)


def test_the_picture_is_small_enough_for_a_repository(tmp_path: Path) -> None:
    path = tmp_path / "images" / "comparison.png"
    draw_comparison(summarise(RUNS, person), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < 150_000
