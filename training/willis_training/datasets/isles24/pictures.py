"""Pictures of a case before and after normalisation: one slice and the values of each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Manifest
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.images import load_case
from willis_training.fitting.samples import PreparedCase

DPI = 70
BLUE, ORANGE = "#0072b2", "#e69f00"
_SHARES = (1.0, 99.0)


def draw_normalisation(
    title: str,
    before: Mapping[str, NDArray[Any]],
    after: Mapping[str, NDArray[Any]],
    path: Path,
    lesion: NDArray[Any] | None = None,
    units: Mapping[str, str] | None = None,
) -> Path:
    """Write a PNG: for each image its slice and histogram, above as read, below as normalised.

    ``before`` and ``after``: volumes (z, y, x) by name, x towards the patient's left, each on its
    own grid. ``lesion`` (z, y, x) on the grid of ``before`` chooses the slice; else the middle one.
    """
    names = [name for name in before if name in after]
    figure = Figure(figsize=(1.9 * len(names) + 0.3, 6.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, len(names), squeeze=False, height_ratios=(2, 1, 2, 1))
    level = _level(lesion)
    for column, name in enumerate(names):
        unit = (units or {}).get(name, "")
        _draw(axes[0, column], axes[1, column], before[name], level, BLUE)
        _draw(axes[2, column], axes[3, column], after[name], level, ORANGE)
        axes[0, column].set_title(f"{name} as read\n{unit}", fontsize=8)
        axes[2, column].set_title(f"{name} normalised", fontsize=8)
    figure.suptitle(title, fontsize=9)
    figure.supxlabel(INTENDED_USE_STATEMENT, fontsize=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return path


def _level(lesion: NDArray[Any] | None) -> float:
    """Height of the slice with most of the lesion, as a share of the stack."""
    if lesion is None or not lesion.any() or len(lesion) < 2:
        return 0.5
    return float((lesion > 0).sum(axis=(1, 2)).argmax()) / (len(lesion) - 1)


def _draw(picture: Axes, values: Axes, volume: NDArray[Any], level: float, colour: str) -> None:
    low, high = _range(volume)
    chosen = volume[round(level * (len(volume) - 1))]
    picture.imshow(chosen, cmap="gray", vmin=low, vmax=high, aspect="equal")
    picture.set_axis_off()
    picture.text(0.02, 0.5, "R", color="white", transform=picture.transAxes, fontsize=8)
    some = volume[volume != volume.flat[0]]
    values.hist(np.clip(some, low, high), bins=40, color=colour)
    values.set_yticks([])
    values.tick_params(labelsize=7)


def _range(volume: NDArray[Any]) -> tuple[float, float]:
    """The range shown: between percentiles of what differs from the corner voxel (background)."""
    some = volume[volume != volume.flat[0]]
    low, high = np.percentile(some, _SHARES) if some.size else (0.0, 1.0)
    return float(low), max(float(high), float(low) + 1e-6)


def picture_of(
    subject: Subject, manifest: Manifest, prepare: Callable[[Subject], PreparedCase], folder: Path
) -> Path:
    """Draw one case: as read, on its NCCT, and as the network gets it. ``prepare`` normalises.

    Raises InputError where the case can't be prepared.
    """
    case, infarct = load_case(subject)
    prepared = prepare(subject)
    shown = [entry.role for entry in manifest.inputs]
    return draw_normalisation(
        f"{subject.subject_id}: before and after normalisation, "
        f"{' x '.join(map(str, prepared.labels.shape))} voxels",
        {role: case[role].stack.voxels for role in shown if role in case},
        {role: prepared.image[n] for n, role in enumerate(shown)},
        folder / f"{subject.subject_id}.png",
        infarct,
        {role: image.unit or "HU" for role, image in case.items()},
    )


def spread(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, spread evenly over all of them."""
    places = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[n] for n in places]
