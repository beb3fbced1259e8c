"""Native slices as a radiologist looks at them: patient right on the image's left side.

What is shown is decided by the geometry, never by how the voxels happen to be stored.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import SliceStack

Floats = NDArray[np.float64]
Labels = NDArray[np.uint8]

SLAB_MM = 5.0
_SKIN_HU = -200.0
_MARGIN_MM = 6.0


@dataclass(frozen=True)
class AxialView:
    """Voxels and labels with axes (feet to head, front to back, right to left) and their steps."""

    hu: NDArray[Any]
    labels: Labels
    positions_mm: Floats
    row_mm: float
    column_mm: float

    def slab_hu(self, k: int) -> Floats:
        """Mean of the slices within a 5-mm slab about slice k: thin slices are too noisy."""
        near = np.abs(self.positions_mm - self.positions_mm[k]) < SLAB_MM / 2
        return np.asarray(self.hu[near].mean(axis=0), dtype=np.float64)

    def largest_slice(self, numbers: Collection[int]) -> int | None:
        """The slice in which these labels cover most; None where they have no voxel."""
        area = np.isin(self.labels, list(numbers)).sum(axis=(1, 2))
        return int(area.argmax()) if area.any() else None

    def head_box(self, slices: Collection[int]) -> tuple[slice, slice]:
        """Rows and columns that hold the head in these slices, with a margin."""
        shown = np.any([_largest_part(self.hu[k] > _SKIN_HU) for k in slices], axis=0)
        return (
            extent(shown.any(axis=1), _MARGIN_MM / self.row_mm),
            extent(shown.any(axis=0), _MARGIN_MM / self.column_mm),
        )


def axial_view(stack: SliceStack, labels: Labels | None = None) -> AxialView:
    """Turn and flip the axes of a stack so that they run upward, backward and to the left.

    Axial slices are shown as acquired, tilt included. Sagittal or coronal stacks are cut across
    by their nearest axes; nothing is resampled.
    """
    turn = turn_of(stack)
    plain = np.zeros(stack.shape, np.uint8) if labels is None else labels
    hu = turn.turned(stack.voxels)
    positions = _positions(stack, turn.order[0], len(hu))[turn.flips[0]]
    return AxialView(hu, turn.turned(plain), positions, *turn.steps_mm)


@dataclass(frozen=True)
class Turn:
    """How a stack's axes become (feet to head, front to back, right to left)."""

    order: tuple[int, int, int]
    flips: tuple[slice, ...]
    steps_mm: tuple[float, float]
    """Between rows and between columns of what is shown."""

    def turned(self, values: NDArray[Any]) -> NDArray[Any]:
        """Anything on the stack's grid, as a view."""
        return values.transpose(self.order)[self.flips]

    def index(self, stored: Sequence[float], shape: tuple[int, int, int]) -> tuple[float, ...]:
        """Where a stored index (z, y, x) of a stack of this shape is shown."""
        moved = [stored[axis] for axis in self.order]
        sizes = [shape[axis] for axis in self.order]
        return tuple(
            size - 1 - at if flip.step == -1 else at
            for at, size, flip in zip(moved, sizes, self.flips, strict=True)
        )


def turn_of(stack: SliceStack) -> Turn:
    """The turn by which a stack is shown."""
    across = stack.normal_lps * float(stack.slice_steps_mm.mean() if len(stack.voxels) > 1 else 1)
    steps = np.stack([across, stack.column_step_lps, stack.row_step_lps])
    order = _axes_nearest_to_zyx(steps)
    turned = steps[list(order)]
    flips = tuple(slice(None, None, -1 if turned[n, 2 - n] < 0 else 1) for n in range(3))
    lengths = np.linalg.norm(turned, axis=1)
    return Turn(order, flips, (float(lengths[1]), float(lengths[2])))


def _axes_nearest_to_zyx(steps: Floats) -> tuple[int, int, int]:
    """Which stored axis runs most along z, which of the others along y, and the last one."""
    unit = np.abs(steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9))
    z = int(unit[:, 2].argmax())
    y = max((n for n in range(3) if n != z), key=lambda n: float(unit[n, 1]))
    return z, y, 3 - z - y


def _positions(stack: SliceStack, axis: int, count: int) -> Floats:
    if axis == 0:
        return stack.distances_mm
    step = stack.column_step_lps if axis == 1 else stack.row_step_lps
    return np.asarray(np.arange(count) * np.linalg.norm(step))


def _largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part: the head without its holder."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return np.ones_like(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax())


def extent(occupied: NDArray[np.bool_] | np.bool_, margin: float) -> slice:
    """From the first to the last true element, with a margin on both sides."""
    index = np.flatnonzero(occupied)
    first = max(int(index[0] - margin), 0)
    return slice(first, min(int(index[-1] + margin) + 2, np.size(occupied)))
