"""Criteria on volumes: met, not met, not assessable; never a word on eligibility."""

from __future__ import annotations

from dataclasses import replace

import pytest

from willis_models.perfusion.numbers import PerfusionNumbers
from willis_models.perfusion.trials import Criterion, trial_criteria


def numbers(core_ml: float | None, hypoperfused_ml: float | None) -> PerfusionNumbers:
    known = core_ml is not None and hypoperfused_ml is not None
    return PerfusionNumbers(
        rcbf_ml=None,
        tmax_ml=None,
        core_ml=core_ml,
        hypoperfused_ml=hypoperfused_ml,
        penumbra_ml=None,
        mismatch_ml=hypoperfused_ml - core_ml if known else None,  # type: ignore[operator]
        mismatch_ratio=hypoperfused_ml / core_ml if known and core_ml else None,  # type: ignore
        mismatch_note="",
        hir=None,
        cbv_index=None,
        side=None,
        normal_cbf=None,
        reference="",
    )


def named(name: str, found: tuple[Criterion, ...]) -> Criterion:
    return next(criterion for criterion in found if criterion.name == name)


def outcome(name: str, core_ml: float | None, hypo_ml: float | None, **patient: float) -> str:
    return named(name, trial_criteria(numbers(core_ml, hypo_ml), **patient)).outcome  # type: ignore


@pytest.mark.parametrize(
    ("core_ml", "hypo_ml", "expected"),
    [
        (30.0, 60.0, "met"),
        (69.9, 150.0, "met"),
        (70.0, 200.0, "not met"),
        (50.0, 64.0, "not met"),
        (10.0, 25.0, "met"),
        (50.0, 89.9, "not met"),
        (50.0, 90.0, "met"),
        (0.0, 40.0, "met"),
        (0.0, 10.0, "not met"),
        (None, 40.0, "not assessable"),
    ],
)
def test_defuse_3(core_ml: float | None, hypo_ml: float, expected: str) -> None:
    assert outcome("DEFUSE 3", core_ml, hypo_ml) == expected


@pytest.mark.parametrize(
    ("core_ml", "hypo_ml", "expected"),
    [
        (40.0, 51.0, "met"),
        (40.0, 50.0, "not met"),
        (60.0, 72.0, "not met"),
        (60.0, 73.0, "met"),
        (70.0, 200.0, "not met"),
        (0.0, 11.0, "met"),
    ],
)
def test_extend(core_ml: float, hypo_ml: float, expected: str) -> None:
    assert outcome("EXTEND", core_ml, hypo_ml) == expected


@pytest.mark.parametrize(
    ("core_ml", "age", "nihss", "expected"),
    [
        (20.0, 85, 12, "met"),
        (21.0, 85, 12, "not met"),
        (21.0, 85, 25, "not met"),
        (30.0, 79, 12, "met"),
        (31.0, 79, 12, "not met"),
        (31.0, 79, 20, "met"),
        (51.0, 79, 25, "not met"),
        (5.0, 60, 9, "not met"),
    ],
)
def test_dawn_by_age_and_deficit(core_ml: float, age: int, nihss: int, expected: str) -> None:
    assert outcome("DAWN", core_ml, 100.0, age_years=age, nihss=nihss) == expected


@pytest.mark.parametrize(
    ("core_ml", "expected"),
    [(20.0, "met"), (25.0, "not assessable"), (50.0, "not assessable"), (51.0, "not met")],
)
def test_dawn_without_age_and_deficit_speaks_where_every_limit_agrees(
    core_ml: float, expected: str
) -> None:
    assert outcome("DAWN", core_ml, 100.0) == expected


def test_what_is_missing_is_named() -> None:
    found = named("DAWN", trial_criteria(numbers(40.0, 100.0), age_years=70.0))
    assert "NIHSS" in found.why
    assert "age" not in found.why


def test_no_criterion_speaks_of_eligibility() -> None:
    for core in (None, 0.0, 10.0, 25.0, 90.0):
        for criterion in trial_criteria(numbers(core, 100.0)):
            assert "eligib" not in f"{criterion.rule_text} {criterion.why}".lower()
            assert criterion.why


def test_all_three_trials_are_listed() -> None:
    found = trial_criteria(replace(numbers(10.0, 50.0), core_ml=None, mismatch_ml=None))
    assert [criterion.name for criterion in found] == ["DEFUSE 3", "DAWN", "EXTEND"]
    assert {criterion.outcome for criterion in found} == {"not assessable"}
