"""The volume criteria of three trials, printed as met, not met or not assessable.

A criterion speaks of volumes (and of age, deficit and time where these are known); whether a
patient should be treated is no question that it answers. Sources: Albers 2018 (doi:10.1056/
NEJMoa1713973, DEFUSE 3), Nogueira 2018 (doi:10.1056/NEJMoa1706442, DAWN), Ma 2019 (doi:10.1056/
NEJMoa1813046, EXTEND).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from willis_models.perfusion.numbers import PerfusionNumbers

Outcome = Literal["met", "not met", "not assessable"]

_MISMATCH_CORE_ML = 70.0
_DAWN_NIHSS, _DAWN_SEVERE_NIHSS, _DAWN_AGE_YEARS = 10, 20, 80.0


@dataclass(frozen=True)
class Criterion:
    """One trial's rule, how the measured volumes stand to it, and why."""

    name: str
    rule_text: str
    outcome: Outcome
    why: str


def trial_criteria(
    numbers: PerfusionNumbers, *, age_years: float | None = None, nihss: int | None = None
) -> tuple[Criterion, ...]:
    """DEFUSE 3, DAWN and EXTEND. DAWN's limit on the core depends on age and NIHSS."""
    return (_defuse_3(numbers), _dawn(numbers.core_ml, age_years, nihss), _extend(numbers))


def _defuse_3(numbers: PerfusionNumbers) -> Criterion:
    rule = "core < 70 mL, mismatch >= 15 mL, ratio >= 1.8"
    return _mismatch_rule("DEFUSE 3", rule, numbers, lambda ml: ml >= 15.0, lambda r: r >= 1.8)


def _extend(numbers: PerfusionNumbers) -> Criterion:
    rule = "core < 70 mL, mismatch > 10 mL, ratio > 1.2"
    return _mismatch_rule("EXTEND", rule, numbers, lambda ml: ml > 10.0, lambda r: r > 1.2)


def _mismatch_rule(
    name: str,
    rule: str,
    numbers: PerfusionNumbers,
    mismatch_fits: Callable[[float], bool],
    ratio_fits: Callable[[float], bool],
) -> Criterion:
    core, mismatch = numbers.core_ml, numbers.mismatch_ml
    if core is None or mismatch is None:
        return Criterion(name, rule, "not assessable", "It takes both a CBF and a Tmax map.")
    ratio = numbers.mismatch_ratio
    failed = []
    if core >= _MISMATCH_CORE_ML:
        failed.append(f"core {core:.0f} mL")
    if not mismatch_fits(mismatch):
        failed.append(f"mismatch {mismatch:.0f} mL")
    # Without a core the ratio has no upper end, and only the mismatch volume can fail.
    if ratio is not None and not ratio_fits(ratio):
        failed.append(f"ratio {ratio:.1f}")
    shown = f"core {core:.0f} mL, mismatch {mismatch:.0f} mL, ratio {_shown(ratio)}"
    if failed:
        return Criterion(name, rule, "not met", f"Outside the rule: {', '.join(failed)}.")
    return Criterion(name, rule, "met", f"Measured: {shown}.")


def _shown(ratio: float | None) -> str:
    return "without limit (no core)" if ratio is None else f"{ratio:.1f}"


def _dawn(core_ml: float | None, age_years: float | None, nihss: int | None) -> Criterion:
    name = "DAWN"
    rule = (
        "80 years or more: NIHSS >= 10 and core < 21 mL; under 80 years: NIHSS >= 10 and core "
        "< 31 mL, or NIHSS >= 20 and core 31 to < 51 mL"
    )
    if core_ml is None:
        return Criterion(name, rule, "not assessable", "It takes a CBF map.")
    if nihss is not None and nihss < _DAWN_NIHSS:
        return Criterion(name, rule, "not met", f"NIHSS {nihss} is under {_DAWN_NIHSS}.")
    possible = _dawn_limits(age_years, nihss)
    measured = f"core {core_ml:.0f} mL"
    if core_ml >= max(possible):
        why = f"Outside the rule: {measured}, the limit is {max(possible):.0f} mL."
        return Criterion(name, rule, "not met", why)
    if core_ml < min(possible):
        unknown = "" if nihss is not None else f" NIHSS >= {_DAWN_NIHSS} is presumed."
        why = f"Measured: {measured}, the limit is {min(possible):.0f} mL or more.{unknown}"
        return Criterion(name, rule, "met", why)
    missing = [n for n, v in (("age", age_years), ("NIHSS", nihss)) if v is None]
    unknown = f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not known"
    why = f"With a core of {core_ml:.0f} mL it depends on {unknown}."
    return Criterion(name, rule, "not assessable", why)


def _dawn_limits(age_years: float | None, nihss: int | None) -> set[float]:
    """The limits on the core that can apply, given what is known."""
    young = {51.0} if nihss is not None and nihss >= _DAWN_SEVERE_NIHSS else {31.0}
    if nihss is None:
        young = {31.0, 51.0}
    if age_years is None:
        return young | {21.0}
    return {21.0} if age_years >= _DAWN_AGE_YEARS else young
