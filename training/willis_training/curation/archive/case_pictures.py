"""One picture a case: slices with the transferred labels, and what the reader drew."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Volume
from willis_training.curation.archive.bids import write_whole
from willis_training.curation.archive.convert import Areas

PANELS = 6
WINDOW_HU = (0.0, 80.0)
REGIONS = 10


def draw_case(image: Volume, labels: NDArray[np.uint8], areas: Areas | None, path: Path) -> None:
    """Slices from the lowest to the highest labelled one; "R" is on the image's left."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, k in zip(figure.subplots(2, PANELS // 2).ravel(), _slices(labels), strict=True):
        axes.imshow(
            _shown(image.voxels[k], image), cmap="gray", vmin=WINDOW_HU[0], vmax=WINDOW_HU[1]
        )
        _contours(axes, _shown(labels[k], image))
        if areas is not None:
            drawn = _drawn_on(areas, image, k)
            axes.contour(
                _shown(drawn, image), [0.5], colors="red", linewidths=0.7, linestyles="dotted"
            )
        axes.set_title(f"slice {k + 1}", fontsize=9)
        axes.text(0.02, 0.5, "R", color="white", transform=axes.transAxes)
        axes.set_axis_off()
    figure.suptitle(
        "Transferred labels; dotted red: what was drawn. Research use only.", fontsize=10
    )
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_whole(path, content.getvalue())


def _slices(labels: NDArray[np.uint8]) -> list[int]:
    hits = np.flatnonzero(labels.any(axis=(1, 2)))
    low, high = (hits[0], hits[-1]) if len(hits) else (0, len(labels) - 1)
    return [int(k) for k in np.linspace(low, high, PANELS + 2)[1:-1].round()]


def _shown(plane: NDArray[Any], image: Volume) -> NDArray[Any]:
    """The plane with the patient's right on the left and the front on top."""
    right, down = image.affine_lps[0, 2], image.affine_lps[1, 1]
    plane = plane if right > 0 else plane[:, ::-1]
    return plane if down > 0 else plane[::-1]


def _contours(axes: Any, labels: NDArray[Any]) -> None:
    for label in np.unique(labels[labels > 0]).tolist():
        colour = f"C{(label - 1) % REGIONS}"
        axes.contour(labels == label, [0.5], colors=[colour], linewidths=1.0)


def _drawn_on(areas: Areas, image: Volume, k: int) -> NDArray[np.float32]:
    """The edges of everything drawn, on slice k of the image."""
    _, rows, columns = image.voxels.shape
    index = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    index[..., 0] = k
    where = np.moveaxis(areas.stack.to_index(image.grid.to_world(index)), -1, 0)
    drawn = np.zeros((rows, columns), dtype=np.float32)
    for mask in areas.masks:
        drawn = np.maximum(drawn, ndimage.map_coordinates(mask.astype(np.float32), where, order=1))
    return drawn
