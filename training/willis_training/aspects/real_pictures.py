"""Pictures of real scans with the regions found on them, for ``docs/real-scans.md``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from willis_models.findings import Findings, State
from willis_models.imaging.components import Mask, largest_component
from willis_models.volume import SliceStack
from willis_training.aspects.expert_masks import JudgedSlice, UnusableSlice
from willis_training.aspects.single_slice import BONE_GREY

Plane = NDArray[Any]
Box = tuple[slice, slice]

WINDOW_HU = (10.0, 55.0)
BONE_HU = 300.0
LEVELS = 6


@dataclass(frozen=True)
class _Line:
    colour: str
    width: float
    dashes: Literal["solid", "dashed", "dotted"]


# Okabe and Ito's colours, and width and dashes, so that no state hangs on colour alone.
LINES: dict[State, _Line] = {
    "affected": _Line("#ff7a2f", 2.4, "solid"),
    "indeterminate": _Line("#f0e442", 1.8, "dashed"),
    "not_assessable": _Line("#bebebe", 1.2, "dotted"),
    "unaffected": _Line("#56b4e9", 1.0, "solid"),
}
EXPERT = {"core": "#e8175d", "core or penumbra": "#3ddc6b"}


def draw_patient(
    stack: SliceStack, labels: NDArray[np.uint8], findings: Findings, path: Path
) -> None:
    """Six levels, plain above and with the regions below."""
    slices = levels_with_regions(labels)
    states = {s.number: (s.label, s.state or "not_assessable") for s in findings.segments}
    box = _skull_box(np.asarray(stack.voxels[slices].max(axis=0) > BONE_HU))
    figure = _figure(3.0 * len(slices), 8.0)
    axes = figure.subplots(2, len(slices), squeeze=False)
    for column, k in enumerate(slices):
        for ax in axes[:, column]:
            _show(ax, stack.voxels[k], box, stack.row_step_lps[0] > 0)
        _outline_regions(axes[1, column], labels[k], states, box)
        axes[0, column].set_title(f"slice {k + 1} of {stack.shape[0]}", color="white", fontsize=11)
    _finish(figure, _state_legend(), "As acquired (above) and with the regions found (below)", path)


def draw_slices(
    slices: Sequence[JudgedSlice | UnusableSlice], path: Path, columns: int = 4
) -> None:
    """A contact sheet: regions by state, the expert's outlines filled."""
    rows = -(-len(slices) // columns)
    figure = _figure(4.0 * columns, 4.3 * rows + 0.7)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid:
        ax.set_axis_off()
    for ax, item in zip(grid, slices, strict=False):
        if isinstance(item, UnusableSlice):
            ax.set_title(f"{item.name}: not usable", color="white", fontsize=11)
        else:
            _draw_slice(ax, item)
    legend = _state_legend() + [
        Line2D([], [], color=colour, linewidth=6, alpha=0.6, label=f"expert: {name}")
        for name, colour in EXPERT.items()
    ]
    _finish(figure, legend, "Single slices, the regions found and what the expert outlined", path)


def levels_with_regions(labels: NDArray[np.uint8], number: int = LEVELS) -> list[int]:
    """Slices spread evenly over those with a fair share of region pixels, bottom up."""
    area = (labels > 0).sum(axis=(1, 2))
    fair = np.flatnonzero(area > 0.2 * area.max())
    chosen = np.linspace(0, len(fair) - 1, min(number, len(fair)))
    return [int(fair[round(at)]) for at in chosen]


def _draw_slice(ax: Axes, item: JudgedSlice) -> None:
    box = _skull_box(item.grey > BONE_GREY)
    _show(ax, item.grey, box, True)
    for mask, colour in ((item.ischaemic, EXPERT["core or penumbra"]), (item.core, EXPERT["core"])):
        _fill(ax, mask[box], colour)
    states = {r.found.evidence.label: (r.found.region, r.found.state) for r in item.regions}
    _outline_regions(ax, item.found.labels, states, box)
    place = f"MNI z {item.placed.level_mm:.0f} mm, pitch {item.placed.pitch_deg:.0f}°"
    ax.set_title(f"{item.name}   {place}", color="white", fontsize=11)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    return figure


def _show(ax: Axes, plane: Plane, box: Box, left_is_right: bool) -> None:
    """The slice as stored, with the patient's sides written where they are."""
    low, high = WINDOW_HU
    ax.imshow(plane[box], cmap="gray", vmin=low, vmax=high, interpolation="lanczos")
    ax.set_axis_off()
    marks = ("R", "L") if left_is_right else ("L", "R")
    for x, text in zip((0.02, 0.98), marks, strict=True):
        align = "left" if x < 0.5 else "right"
        ax.text(x, 0.94, text, color="white", transform=ax.transAxes, ha=align, fontsize=12)


def _skull_box(bone: Mask, margin: int = 12) -> Box:
    """Around the skull: tables and head rests are smaller pieces."""
    skull = largest_component(bone)
    rows, columns = (np.flatnonzero(skull.any(axis=axis)) for axis in (1, 0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin),
    )


def _outline_regions(
    ax: Axes, labels: NDArray[np.uint8], states: dict[int, tuple[str, State]], box: Box
) -> None:
    """Contours by state, quiet states first; names beside what was called or is open."""
    present = [int(n) for n in np.unique(labels[box]) if n in states]
    quiet_first = list(LINES)[::-1]
    for number in sorted(present, key=lambda n: quiet_first.index(states[n][1])):
        name, state = states[number]
        region = (labels == number)[box]
        line = LINES[state]
        ax.contour(
            region, [0.5], colors=[line.colour], linewidths=line.width, linestyles=line.dashes
        )
        if state in ("affected", "indeterminate"):
            _write_name(ax, region, name.split()[0], line.colour)


def _write_name(ax: Axes, region: Mask, name: str, colour: str) -> None:
    row, column = (float(np.median(at)) for at in np.nonzero(region))
    text = ax.text(column, row, name, color=colour, fontsize=10, ha="center", va="center")
    text.set_fontweight("bold")
    text.set_path_effects([withStroke(linewidth=2.0, foreground="black")])


def _fill(ax: Axes, mask: Mask, colour: str) -> None:
    if mask.any():
        ax.contourf(mask, [0.5, 1.5], colors=[colour], alpha=0.22)
        ax.contour(mask, [0.5], colors=[colour], linewidths=1.0)


def _state_legend() -> list[Line2D]:
    return [
        Line2D(
            [],
            [],
            color=line.colour,
            linewidth=line.width,
            linestyle=line.dashes,
            label=state.replace("_", " "),
        )
        for state, line in LINES.items()
    ]


def _finish(figure: Figure, legend: list[Line2D], title: str, path: Path) -> None:
    figure.suptitle(
        f"{title}. Radiological convention: the viewer's left is the patient's right.",
        color="white",
        fontsize=12,
    )
    figure.legend(
        handles=legend,
        loc="outside lower center",
        ncols=len(legend),
        frameon=False,
        labelcolor="white",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=75, facecolor="black")
