"""The picture of a comparison: every case's Dice, and what accuracy costs in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.comparison.summary import Summary

DPI = 110


def draw_comparison(summary: Summary, path: Path) -> None:
    """Write a PNG: Dice of each case by architecture, and mean Dice against CPU latency."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = list(summary.standings)
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    cases, cost = figure.subplots(1, 2, width_ratios=(1.4, 1.0))
    rng = np.random.default_rng(0)
    for place, name in enumerate(names):
        dice = summary.standings[name].dice
        beside = place + rng.uniform(-0.25, 0.25, dice.size)
        cases.plot(beside, dice, ".", color=f"C{place}", alpha=0.45, markersize=4)
        cases.plot([place - 0.3, place + 0.3], [np.median(dice)] * 2, color="black", linewidth=1.5)
        latency_ms = 1000 * next(iter(summary.standings[name].latency_s.values()))
        cost.plot(latency_ms, dice.mean(), "o", color=f"C{place}", label=name)
    cases.set_xticks(range(len(names)), names, rotation=20)
    cases.set_ylabel("Dice of a case (line: median)")
    cost.set_xscale("log")
    cost.set_xlabel("latency of one patch, CPU, ms")
    cost.set_ylabel("mean Dice")
    cost.legend(fontsize=8, frameon=False)
    figure.suptitle(INTENDED_USE_STATEMENT, fontsize=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
