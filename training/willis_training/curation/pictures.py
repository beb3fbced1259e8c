"""Pages to look at: axial slices of a head with the outlines of its ASPECTS regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from willis_training.curation.label_transfer import paint_t1

if TYPE_CHECKING:
    from willis_training.curation.heads import Head

LEVELS_MNI_MM = (-6.0, 2.0, 9.0, 16.0, 24.0, 32.0, 42.0, 54.0)
"""Four ganglionic and four supraganglionic levels."""


def draw_head(head: Head, path: Path) -> None:
    """Write one page: the painted brain, patient left on the right-hand side of each slice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    painted = paint_t1(head.labels)
    rows, columns = _window(painted > 0)
    figure = Figure(figsize=(16, 10), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, level in zip(figure.subplots(2, 4).ravel(), LEVELS_MNI_MM, strict=True):
        k = slice_at(head, level)
        axes.imshow(painted[k, rows, columns], cmap="gray", vmin=0, vmax=1)
        regions = head.regions[k, rows, columns]
        for label in np.unique(regions[regions > 0]):
            colour = f"C{(int(label) - 1) % 10}"
            style = "solid" if label <= 10 else "dashed"
            axes.contour(regions == label, [0.5], colors=[colour], linewidths=1.2, linestyles=style)
        axes.set_title(f"MNI z = {level:.0f} mm   solid = labels 1-10", fontsize=9)
        axes.set_axis_off()
    figure.suptitle(f"{head.name}: the viewer's right is the patient's left")
    figure.savefig(path, dpi=80)


def slice_at(head: Head, mni_z_mm: float) -> int:
    """The array index k of the axial slice whose brain lies nearest to an MNI height."""
    inside = (head.labels[::2, ::2, ::2] > 0) & (head.labels[::2, ::2, ::2] < 100)
    heights = np.where(inside, head.mni_lps[..., 2], 0.0).sum(axis=(1, 2))
    count = inside.sum(axis=(1, 2))
    mean = np.where(count > 0, heights / np.maximum(count, 1), np.inf)
    return 2 * int(np.argmin(np.abs(mean - mni_z_mm)))


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    rows = np.flatnonzero(mask.any(axis=(0, 2)))
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    return slice(rows[0] - 4, rows[-1] + 5), slice(columns[0] - 4, columns[-1] + 5)
