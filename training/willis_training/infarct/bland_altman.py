"""Agreement of volumes: bias and limits of agreement (Bland and Altman, Lancet 1986;327:307)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.intervals import bootstrap_by_group

Floats = NDArray[np.float64]
WIDTH = 1.96
DPI = 80
_LEAST_ML = 0.1
_BLUE, _GREY, _RED = "#0072b2", "#999999", "#d55e00"


@dataclass(frozen=True)
class Agreement:
    """Predicted minus true volume in mL: mean, limits (mean -+ 1.96 SD), 95% bootstrap intervals.

    ``spread_with_size``: Pearson's correlation of the absolute difference with the mean volume. Far
    above 0, the limits are too wide for small infarcts and too narrow for large ones.
    """

    cases: int
    bias_ml: float
    bias_interval_ml: tuple[float, float]
    lower_ml: float
    lower_interval_ml: tuple[float, float]
    upper_ml: float
    upper_interval_ml: tuple[float, float]
    outside: int
    spread_with_size: float | None


def agreement(found_ml: Floats, truth_ml: Floats, draws: int = 2000) -> Agreement:
    """Compare volumes (cases,) case by case. Raises ValueError for fewer than three cases."""
    if len(found_ml) < 3:
        raise ValueError("Limits of agreement need at least three cases.")
    difference = found_ml - truth_ml

    def figures(rows: NDArray[np.int64]) -> Floats:
        mean, spread = difference[rows].mean(), difference[rows].std(ddof=1)
        return np.array([mean, mean - WIDTH * spread, mean + WIDTH * spread])

    each = np.arange(len(difference))
    bias, lower, upper = figures(each)
    low, high = bootstrap_by_group(each.astype(np.str_), figures, draws)
    return Agreement(
        cases=len(difference),
        bias_ml=round(float(bias), 3),
        bias_interval_ml=_pair(low[0], high[0]),
        lower_ml=round(float(lower), 3),
        lower_interval_ml=_pair(low[1], high[1]),
        upper_ml=round(float(upper), 3),
        upper_interval_ml=_pair(low[2], high[2]),
        outside=int(((difference < lower) | (difference > upper)).sum()),
        spread_with_size=_correlation(np.abs(difference), (found_ml + truth_ml) / 2),
    )


def _pair(low: float, high: float) -> tuple[float, float]:
    return round(float(low), 3), round(float(high), 3)


def _correlation(one: Floats, other: Floats) -> float | None:
    if one.std() == 0 or other.std() == 0:
        return None
    return round(float(np.corrcoef(one, other)[0, 1]), 3)


def draw_agreement(
    volumes: Mapping[str, tuple[Floats, Floats]], path: Path, most_ml: float | None = None
) -> None:
    """Write a PNG with one panel for each method: (predicted, true) volumes in mL by its name.

    All panels share their axes; the horizontal one is logarithmic, since infarcts range from drops
    to half a hemisphere. ``most_ml`` bounds the vertical one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.9 * len(volumes), 3.7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(volumes), squeeze=False, sharex=True, sharey=True)[0]
    for axes, (name, (found, truth)) in zip(panels, volumes.items(), strict=True):
        limits = agreement(found, truth, draws=200)
        middle = np.maximum((found + truth) / 2, _LEAST_ML)
        axes.axhspan(limits.lower_ml, limits.upper_ml, color=_BLUE, alpha=0.08, linewidth=0)
        axes.axhline(0.0, color=_GREY, linewidth=0.8)
        axes.axhline(limits.bias_ml, color=_RED, linewidth=1.4)
        for value in (limits.lower_ml, limits.upper_ml):
            axes.axhline(value, color=_RED, linewidth=1.0, linestyle="dashed")
        axes.scatter(middle, found - truth, s=16, color=_BLUE, alpha=0.75, linewidths=0)
        axes.set_xscale("log")
        axes.set_title(
            f"{name}\nbias {limits.bias_ml:+.1f}, limits {limits.lower_ml:+.0f} to "
            f"{limits.upper_ml:+.0f} mL",
            fontsize=9,
        )
        axes.set_xlabel("mean of predicted and true volume (mL)", fontsize=8)
        axes.tick_params(labelsize=8)
    if most_ml is not None:
        panels[0].set_ylim(-most_ml, most_ml)
    panels[0].set_ylabel("predicted minus true volume (mL)", fontsize=8)
    figure.suptitle(INTENDED_USE_STATEMENT, fontsize=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
