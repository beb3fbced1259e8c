"""Figures of the evaluation page, as small PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.infarct.bland_altman import draw_agreement
from willis_training.infarct.evaluate import BASELINES, NETWORK, CaseRecord
from willis_training.infarct.evaluate_summary import column

DPI = 80
COLOURS = ("#0072b2", "#d55e00", "#e69f00", "#009e73", "#56b4e9")
_FEWEST_VOXELS = 100
"""A bin with fewer is no point of the reliability curve: its share is chance."""


def draw_cases(done: Sequence[CaseRecord], methods: Sequence[str], path: Path) -> None:
    """Write a PNG: every case's Dice by method, and against the true volume."""
    figure = _figure(9.5, 3.8)
    by_method, by_volume = figure.subplots(1, 2, width_ratios=(1.2, 1.0), sharey=True)
    rng = np.random.default_rng(0)
    for place, name in enumerate(methods):
        dice, colour = column(done, name, "dice"), COLOURS[place % len(COLOURS)]
        beside = place + rng.uniform(-0.22, 0.22, dice.size)
        by_method.plot(beside, dice, ".", color=colour, alpha=0.6, markersize=5)
        by_method.plot([place - 0.3, place + 0.3], [dice.mean()] * 2, color="black", linewidth=1.5)
        if name == NETWORK or name in BASELINES:
            volume = np.maximum(column(done, name, "truth_ml"), 0.1)
            by_volume.plot(volume, dice, ".", color=colour, alpha=0.7, markersize=5, label=name)
    wrapped = [name.replace(", ", ",\n").replace("logistic ", "logistic\n") for name in methods]
    by_method.set_xticks(range(len(methods)), wrapped, fontsize=8)
    by_method.set_ylabel("Dice of a case (line: mean)", fontsize=9)
    by_volume.set_xscale("log")
    by_volume.set_xlabel("true volume (mL)", fontsize=9)
    by_volume.legend(fontsize=7, frameon=False)
    _save(figure, path)


def draw_volumes(done: Sequence[CaseRecord], methods: Sequence[str], path: Path) -> None:
    """Write the Bland-Altman plots of the network and of the baselines."""
    shown = [name for name in methods if name == NETWORK or name in BASELINES]
    volumes = {
        name: (column(done, name, "found_ml"), column(done, name, "truth_ml")) for name in shown
    }
    draw_agreement(volumes, path)


def draw_reliability(calibration: Mapping[str, Any], path: Path) -> None:
    """Write a PNG: what the network says against what infarcted."""
    figure = _figure(8.6, 3.8)
    axes, share = figure.subplots(1, 2)
    axes.plot([0, 1], [0, 1], color="#999999", linestyle="dotted")
    for name, label, colour in (
        ("before", "as the network says it", COLOURS[0]),
        ("after", "after the temperature", COLOURS[1]),
    ):
        if name in calibration:
            found = calibration[name]
            filled = np.array(found["counts"]) >= _FEWEST_VOXELS
            says, seen = np.array(found["confidence"])[filled], np.array(found["right"])[filled]
            text = f"{label}, error {found['expected_error']:.3f}"
            axes.plot(says, seen, marker="o", markersize=4, color=colour, label=text)
            counts = np.array(found["counts"])
            share.plot(
                np.array(found["confidence"])[counts > 0],
                counts[counts > 0] / counts.sum(),
                marker="o",
                markersize=4,
                color=colour,
            )
    axes.set_xlabel("probability of infarct", fontsize=9)
    axes.set_ylabel("share that infarcted", fontsize=9)
    share.set_xlabel("probability of infarct", fontsize=9)
    share.set_ylabel("share of the voxels", fontsize=9)
    share.set_yscale("log")
    if calibration.get("before"):
        axes.legend(fontsize=8, frameon=False)
    _save(figure, path)


def _figure(width_in: float, height_in: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: Path) -> None:
    figure.suptitle(INTENDED_USE_STATEMENT, fontsize=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
