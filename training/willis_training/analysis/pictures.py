"""Plots and pictures of an analysis, as PNG bytes.

Slices are shown in the radiological way: the patient's right is on the left of the picture.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from willis_training.analysis.analyse import Outliers
from willis_training.analysis.calibration import Calibration, Reliability
from willis_training.analysis.results import SavedCase
from willis_training.analysis.scoring import CaseScore, Trend, fact_and_dice
from willis_training.analysis.variants import VariantScore

# Okabe and Ito's colours: told apart by everybody.
BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#999999"
PLOTS_A_ROW = 4
DPI = 80
FEWEST_VOXELS = 100
"""A bin with fewer is no point of the reliability curve: its share is chance."""


def draw_trends(scores: Sequence[CaseScore], found: Sequence[Trend]) -> bytes:
    """Dice of each test case against each fact, with the rank correlation."""
    rows = -(-len(found) // PLOTS_A_ROW)
    figure = _figure(3.3 * min(PLOTS_A_ROW, len(found)), 2.9 * rows)
    grid = figure.subplots(rows, min(PLOTS_A_ROW, len(found)), squeeze=False).ravel()
    for axes, trend in zip(grid, found, strict=False):
        pairs = fact_and_dice(scores, trend.fact)
        axes.scatter(pairs[:, 0], pairs[:, 1], s=16, color=RED if trend.is_clear else BLUE)
        interval = f"{trend.low:+.2f} to {trend.high:+.2f}"
        axes.set_title(f"rho {trend.rho:+.2f} ({interval})", fontsize=9)
        axes.set_xlabel(trend.fact, fontsize=9)
        axes.set_ylabel("Dice", fontsize=9)
    for axes in grid[len(found) :]:
        axes.set_axis_off()
    return _png(figure)


def draw_calibration(calibration: Calibration) -> bytes:
    """The reliability curve before and after the temperature, and where the voxels lie."""
    figure = _figure(8.0, 3.6)
    curve, share = figure.subplots(1, 2)
    curve.plot([0, 1], [0, 1], color=GREY, linestyle="dotted", label="right as often as it says")
    for title, reliability, colour in (
        ("as it is", calibration.before, BLUE),
        (f"temperature {calibration.temperature:.2f}", calibration.after, ORANGE),
    ):
        label = f"{title}, ECE {reliability.expected_error:.3f}"
        confidence, right, _ = _filled(reliability, FEWEST_VOXELS)
        curve.plot(confidence, right, marker="o", markersize=4, color=colour, label=label)
        confidence, _, counts = _filled(reliability, 1)
        share.plot(confidence, counts / counts.sum(), marker="o", markersize=4, color=colour)
    curve.set_xlabel("confidence")
    curve.set_ylabel("share that is right")
    curve.legend(fontsize=8)
    share.set_xlabel("confidence")
    share.set_ylabel("share of the voxels")
    share.set_yscale("log")
    return _png(figure)


def _filled(
    reliability: Reliability, fewest: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Confidence, share that is right and count of the bins that hold at least so many voxels."""
    counts = np.array(reliability.counts)
    kept = counts >= fewest
    return np.array(reliability.confidence)[kept], np.array(reliability.right)[kept], counts[kept]


def draw_variants(variants: Sequence[VariantScore]) -> bytes:
    """The gain in Dice of each variant with its interval, over the seconds that it takes."""
    figure = _figure(6.5, 3.4)
    axes = figure.subplots()
    axes.axhline(0.0, color=GREY, linestyle="dotted")
    for variant in variants:
        error = [[variant.gain - variant.low], [variant.high - variant.gain]]
        axes.errorbar(
            variant.seconds, variant.gain, yerr=error, fmt="o", capsize=3, label=variant.name
        )
    axes.set_xlabel("seconds a case")
    axes.set_ylabel("gain in Dice")
    axes.legend(fontsize=8)
    return _png(figure)


def draw_outliers(outliers: Outliers) -> bytes:
    """The distance of every case, by part and oddity, with the threshold."""
    kinds = sorted({(s.part, s.oddity or s.part) for s in outliers.scores}, reverse=True)
    figure = _figure(7.5, 0.45 * len(kinds) + 1.2)
    axes = figure.subplots()
    for row, (part, kind) in enumerate(kinds):
        among = [s for s in outliers.scores if s.part == part and (s.oddity or s.part) == kind]
        colours = [RED if s.flagged else BLUE for s in among]
        axes.scatter([s.distance for s in among], [row] * len(among), s=18, c=colours)
    axes.axvline(outliers.threshold, color=GREY, linestyle="dashed")
    axes.set_yticks(range(len(kinds)), [kind for _, kind in kinds], fontsize=9)
    axes.set_xscale("log")
    axes.set_xlabel("distance from the training inputs (dashed: 99% of them lie below)")
    return _png(figure)


def draw_case(case: SavedCase, score: CaseScore, label_names: Mapping[int, str]) -> bytes:
    """The slice with most errors: the image, its truth, the answer, and how sure it was."""
    found = case.labels
    wrong = (found != case.truth) & ((found > 0) | (case.truth > 0))
    k = int(wrong.sum(axis=(1, 2)).argmax())
    figure = _figure(13.0, 3.9)
    panels = figure.subplots(1, 4)
    aspect = case.spacing_mm[1] / case.spacing_mm[2]
    low, high = np.percentile(case.image[k], (1, 99.5))
    for axes in panels:
        axes.imshow(case.image[k], cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axes.set_axis_off()
        axes.text(0.02, 0.95, "R", color="white", fontsize=10, transform=axes.transAxes)
    _outline(panels[1], case.truth[k], label_names)
    _outline(panels[2], found[k], label_names)
    unsure = np.where(wrong[k] | (found[k] > 0), 1.0 - case.probabilities[:, k].max(axis=0), np.nan)
    panels[3].imshow(unsure, cmap="inferno", vmin=0, vmax=0.7, alpha=0.75, aspect=aspect)
    if wrong[k].any():
        panels[3].contour(wrong[k], [0.5], colors=["cyan"], linewidths=0.5)
    panels[3].legend(handles=[Line2D([], [], color="cyan", label="wrong")], fontsize=7, loc=4)
    titles = (f"slice {k}", "truth", "answer", "1 - confidence")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=9)
    facts = ", ".join(f"{n} {_shown(v)}" for n, v in sorted(score.facts.items()))
    figure.suptitle(f"{case.case_id}: Dice {score.dice:.3f}; {facts}", fontsize=9)
    return _png(figure)


def _outline(axes: Axes, labels: NDArray[np.uint8], label_names: Mapping[int, str]) -> None:
    for value in sorted(label_names):
        mask = labels == value
        if value != 0 and mask.any() and not mask.all():
            axes.contour(mask, [0.5], colors=[f"C{(value - 1) % 10}"], linewidths=1.1)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()
