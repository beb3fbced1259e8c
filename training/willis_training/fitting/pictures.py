"""Pictures of a run: its curves, and what the network says of cases that judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.fitting.result import Validation
from willis_training.fitting.validation import Judged

TRUTH_COLOUR, FOUND_COLOUR = "#17becf", "#ff7f0e"
MAX_CLASSES_NAMED = 10


def draw_curves(history: Sequence[Validation], path: Path) -> None:
    """Loss and Dice against the step, as one PNG."""
    figure = _figure(8.0, 3.6)
    left, right = figure.subplots(1, 2)
    steps = [line.step for line in history]
    left.plot(steps, [line.loss for line in history], color="black")
    left.set(xlabel="step", ylabel="training loss (mean since the validation before)")
    for name in history[-1].dice:
        values = [np.nan if line.dice[name] is None else line.dice[name] for line in history]
        right.plot(steps, values, linewidth=0.8, label=name)
    right.plot(steps, [line.mean_dice for line in history], color="black", label="mean")
    right.set(xlabel="step", ylabel="validation Dice", ylim=(0.0, 1.0))
    if len(history[-1].dice) <= MAX_CLASSES_NAMED:
        right.legend(fontsize=7, frameon=False)
    _save(figure, path)


def draw_predictions(examples: Sequence[Judged], step: int, path: Path) -> None:
    """For each case the slice with most truth: the image, and truth and prediction outlined.

    Array columns run to patient left, so "R" stands on the image's left.
    """
    figure = _figure(6.0, 3.1 * len(examples))
    axes = np.atleast_2d(figure.subplots(len(examples), 2))
    for (plain, outlined), judged in zip(axes, examples, strict=True):
        k = _slice_of_most(judged.case.labels, judged.found)
        for ax in (plain, outlined):
            _show(ax, judged.case.image[0, k], judged.case.spacing_mm)
        for labels, colour in ((judged.case.labels, TRUTH_COLOUR), (judged.found, FOUND_COLOUR)):
            _outline(outlined, labels[k], colour)
        plain.set_title(f"{judged.case.name}, slice {k}", fontsize=8)
        outlined.set_title(f"step {step}: truth blue, found orange", fontsize=8)
    _save(figure, path)


def _figure(width_in: float, height_in: float) -> Any:
    """A figure that knows no window: drawing never touches a global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _slice_of_most(truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> int:
    labelled = truth if truth.any() else found
    return int((labelled > 0).sum(axis=(1, 2)).argmax()) if labelled.any() else len(truth) // 2


def _show(ax: Any, image: NDArray[np.float32], spacing_mm: Sequence[float]) -> None:
    low, high = np.percentile(image, (1.0, 99.5))
    aspect = spacing_mm[1] / spacing_mm[2]
    ax.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), aspect=aspect)
    ax.set_axis_off()
    ax.text(0.02, 0.5, "R", color="white", transform=ax.transAxes, fontsize=9)


def _outline(ax: Any, labels: NDArray[np.uint8], colour: str) -> None:
    for value in np.unique(labels[labels > 0]):
        mask = np.pad(labels == value, 1).astype(np.float32)
        columns, rows = np.arange(mask.shape[1]) - 1, np.arange(mask.shape[0]) - 1
        ax.contour(columns, rows, mask, levels=[0.5], colors=colour, linewidths=0.8)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.supxlabel(INTENDED_USE_STATEMENT, fontsize=5, wrap=True)
    figure.savefig(path, dpi=110)
