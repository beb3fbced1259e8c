"""Tables of the evaluation page, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from willis_training.infarct.challenge import FIGURES
from willis_training.infarct.evaluate import NETWORK

_NAMES = {
    "dice": "Dice",
    "volume_difference_ml": "volume difference, mL",
    "f1": "lesion F1",
    "count_difference": "count difference",
}
_DECIMALS = {"dice": 3, "volume_difference_ml": 1, "f1": 3, "count_difference": 2}


def methods_table(summary: Mapping[str, Any]) -> str:
    """One row a method: mean and interval of the four figures, and the median Dice."""
    lines = [
        "| method | " + " | ".join(_NAMES[figure] for figure in FIGURES) + " | median Dice |",
        "|---" * (len(FIGURES) + 2) + "|",
    ]
    for name, figures in summary["methods"].items():
        cells = [_with_interval(figures[figure], _DECIMALS[figure]) for figure in FIGURES]
        shown = f"**{name}**" if name == NETWORK else name
        median = f"{figures['dice']['median']:.3f}"
        lines.append(f"| {shown} | " + " | ".join(cells) + f" | {median} |")
    return "\n".join(lines)


def _with_interval(figure: Mapping[str, Any], decimals: int) -> str:
    low, high = figure["interval"]
    return f"{figure['mean']:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def paired_table(summary: Mapping[str, Any]) -> str:
    """The network against every other method."""
    lines = ["| network minus | figure | difference | p (Holm) |", "|---|---|---|---|"]
    for figure, tests in summary["paired"].items():
        for test in tests:
            decimals = _DECIMALS[figure] + 1
            difference = (
                f"{test['difference']:+.{decimals}f} ({test['low']:+.{decimals}f} to "
                f"{test['high']:+.{decimals}f})"
            )
            p = _p(test["p_holm"])
            lines.append(f"| {test['second']} | {_NAMES[figure]} | {difference} | {p} |")
    return "\n".join(lines)


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def bins_table(bins: Mapping[str, Any], methods: Mapping[str, Any]) -> str:
    """Mean Dice of every method and the network's other figures, bin by bin."""
    others = [figure for figure in FIGURES if figure != "dice"]
    head = [
        "",
        "cases",
        *(f"Dice, {name}" for name in methods),
        *(f"network: {_NAMES[figure]}" for figure in others),
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, found in bins.items():
        cells = [
            name,
            str(found["cases"]),
            *(f"{found[method]['dice']:.3f}" for method in methods),
            *(f"{found[NETWORK][figure]:.{_DECIMALS[figure]}f}" for figure in others),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def agreement_table(summary: Mapping[str, Any]) -> str:
    """One row a method."""
    lines = [
        "| method | bias, mL | lower limit, mL | upper limit, mL | outside | with size |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in summary["agreement"].items():
        cells = [
            f"{found[f'{key}_ml']:+.1f} ({found[f'{key}_interval_ml'][0]:+.1f} to "
            f"{found[f'{key}_interval_ml'][1]:+.1f})"
            for key in ("bias", "lower", "upper")
        ]
        spread = found["spread_with_size"]
        tail = f"{found['outside']} of {found['cases']} | {'-' if spread is None else spread}"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {tail} |")
    return "\n".join(lines)


def course_table(courses: Mapping[str, Any]) -> str:
    """Dice of every method by what happened to the vessel, and what the network is ahead by."""
    names = list(next(iter(courses.values()))["dice"])
    others = [name for name in names if name != NETWORK]
    head = ["", "cases", *(f"Dice, {n}" for n in names), *(f"network minus {n}" for n in others)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, found in courses.items():
        ahead = (found["difference"][other] for other in others)
        cells = [
            name,
            str(found["cases"]),
            *(f"{found['dice'][each]:.3f}" for each in names),
            *(f"{mean:+.3f} ({low:+.3f} to {high:+.3f})" for mean, low, high in ahead),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
