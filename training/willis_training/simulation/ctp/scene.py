"""What a slice of the scanner sees of a head: shares of tissues and vessels, and their state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import SliceStack
from willis_training.curation.label_codes import PARENCHYMA_CODES
from willis_training.simulation.ctp.head import COARSE_STEP, PerfusionHead
from willis_training.simulation.ctp.parameters import value
from willis_training.simulation.ctp.protocol import Pose
from willis_training.simulation.ctp.stroke import PerfusionStroke
from willis_training.simulation.ctp.vessels import FULL
from willis_training.simulation.ncct import Warp
from willis_training.simulation.pathology import smooth_field
from willis_training.simulation.scanner import Scanner, rotation, slice_origins
from willis_training.simulation.tissue import GREY, LIMIT, SCALP, SOFT, WHITE

Floats = NDArray[np.float32]

SUBSLICE_MM = 1.7
_BLUR_MM = 0.5
_TEXTURE_HU = 0.8
_MARGIN_MM = (8.0, 10.0)
_DURA = 502

_GREY, _WHITE, _SOFT, _OTHER = 0, 1, 2, 3


def _classes() -> NDArray[np.uint8]:
    """The class of each label code, (LIMIT,)."""
    table = np.full(LIMIT, _OTHER, np.uint8)
    grey = (*GREY,)
    white = tuple(c for c in (*WHITE, *PARENCHYMA_CODES) if c not in grey)
    for number, codes in ((_GREY, grey), (_WHITE, white), (_SOFT, (*SCALP, *SOFT, _DURA))):
        table[list(codes)] = number
    return table


CLASSES = _classes()


@dataclass(frozen=True)
class SliceView:
    """One slice (y, x): HU without contrast, shares (0-1), severity, jitters (see `States`)."""

    hu: Floats
    grey: Floats
    white: Floats
    soft: Floats
    artery: Floats
    vein: Floats
    closed_trunk: Floats
    severity: Floats
    cbf_jitter: Floats
    mtt_jitter: Floats


@dataclass(frozen=True)
class States:
    """Coarse maps (z, y, x) of one patient; ``hu`` holds HU to add."""

    severity: Floats
    cbf_jitter: Floats
    mtt_jitter: Floats
    hu: Floats
    trunk: int


def draw_states(
    head: PerfusionHead, stroke: PerfusionStroke | None, darkening_hu: float,
    rng: np.random.Generator,
) -> States:  # fmt: skip
    """Jitter of flow and transit time, texture, and a core that is darker on CT."""
    shape = head.coarse_shape
    cells = value("jitter_cells_mm") / head.coarse_mm
    texture = smooth_field(shape, rng, cells, _TEXTURE_HU)
    severity = np.zeros(shape, np.float32)
    if stroke is not None:
        severity = stroke.severity
        darker = darkening_hu * np.clip(severity - 1.0, 0.0, 1.0)
        texture = (texture - darker).astype(np.float32)
    return States(
        severity=severity,
        cbf_jitter=smooth_field(shape, rng, cells, value("cbf_jitter")),
        mtt_jitter=smooth_field(shape, rng, cells, value("mtt_jitter_s")),
        hu=texture.astype(np.float32),
        trunk=stroke.trunk if stroke is not None else 0,
    )


@dataclass(frozen=True)
class Scene:
    """A head in its scanner: where it lies, how its shape was changed, and its tissue's state."""

    head: PerfusionHead
    scanner: Scanner
    warp: Warp | None
    states: States
    hu_of_label: Floats

    def view(self, stack: SliceStack, k: int, pose: Pose | None = None) -> SliceView:
        """Slice ``k`` of a stack; thick slices and coarse pixels are means of sub-samples."""
        pixel = stack.pixel_spacing_mm[0]
        index = self._index(stack, k, pose)
        totals = self._average(index, stack, max(round(pixel), 1))
        if pixel < 1.0:
            totals = ndimage.gaussian_filter(totals, (0, _BLUR_MM / pixel, _BLUR_MM / pixel))
        hu, grey, white, soft, artery, vein, closed = totals
        where = np.moveaxis(index, -1, 0) / COARSE_STEP
        states = self.states
        severity, cbf, mtt, added = (
            ndimage.map_coordinates(f, where, order=1, mode="nearest", output=np.float32)
            for f in (states.severity, states.cbf_jitter, states.mtt_jitter, states.hu)
        )
        hu = hu + added * (grey + 0.6 * white)
        return SliceView(hu, grey, white, soft, artery, vein, closed, severity, cbf, mtt)

    def mask(self, coarse: NDArray[np.bool_], stack: SliceStack, k: int) -> NDArray[np.bool_]:
        """A coarse mask of the head on slice ``k``."""
        where = np.moveaxis(self._index(stack, k, None), -1, 0) / COARSE_STEP
        share = ndimage.map_coordinates(coarse.astype(np.float32), where, order=1)
        return np.asarray(share >= 0.5)

    def _index(self, stack: SliceStack, k: int, pose: Pose | None) -> Floats:
        """Head indices (y, x, 3) of a slice's pixel centres."""
        _, rows, columns = stack.shape
        j, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
        at = np.stack([np.full(j.shape, k), j, i], axis=-1)
        world = stack.to_world(at)
        turned = rotation(self.scanner)
        if pose is not None:
            world = pose.undone(world, turned @ self.head.centre_lps)
        index = self.head.grid.to_index(world @ turned)
        return (index + self.warp.at(index) if self.warp else index).astype(np.float32)

    def _average(self, index: Floats, stack: SliceStack, across: int) -> Floats:
        """Means over sub-samples of HU and of the six shares: (7, y, x)."""
        to_head = np.linalg.inv(self.head.affine_lps[:3, :3]) @ rotation(self.scanner).T
        deep = max(round(self.scanner.thickness_mm / SUBSLICE_MM), 1)
        up = stack.normal_lps * self.scanner.thickness_mm
        totals = np.zeros((7, *index.shape[:2]), np.float32)
        flat = _flat(self.head)
        for a in _offsets(deep):
            for b in _offsets(across):
                for c in _offsets(across):
                    step = up * a + stack.column_step_lps * b + stack.row_step_lps * c
                    self._add(totals, flat, index + (to_head @ step).astype(np.float32))
        totals /= deep * across * across
        return totals

    def _add(self, totals: Floats, flat: _Flat, index: Floats) -> None:
        """One sub-sample: the nearest voxel."""
        where = np.rint(index).astype(np.int32)
        limits = np.array(self.head.labels.shape, dtype=np.int32)
        outside = ((where < 0) | (where >= limits)).any(-1)
        k, j, i = np.moveaxis(np.clip(where, 0, limits - 1), -1, 0)
        at = (k * limits[1] + j) * limits[2] + i
        labels = np.where(outside, 0, flat.labels[at])
        kind = CLASSES[labels]
        artery = np.where(outside, 0, flat.artery[at]).astype(np.float32) / FULL
        vein = np.where(outside, 0, flat.vein[at]).astype(np.float32) / FULL
        closed = artery * (flat.trunk[at] == self.states.trunk) * (self.states.trunk > 0)
        tissue = 1.0 - np.minimum(artery + vein, 1.0)
        totals[0] += self.hu_of_label[labels]
        totals[1] += tissue * (kind == _GREY)
        totals[2] += tissue * (kind == _WHITE)
        totals[3] += tissue * (kind == _SOFT)
        totals[4] += artery - closed
        totals[5] += vein
        totals[6] += closed


@dataclass(frozen=True)
class _Flat:
    labels: NDArray[np.uint16]
    artery: NDArray[np.uint8]
    vein: NDArray[np.uint8]
    trunk: NDArray[np.uint8]


def _flat(head: PerfusionHead) -> _Flat:
    """The head's maps as flat arrays."""
    return _Flat(head.labels.ravel(), head.artery.ravel(), head.vein.ravel(), head.trunk.ravel())


def _offsets(count: int) -> NDArray[np.float64]:
    return np.asarray((np.arange(count) - (count - 1) / 2) / count)


def brain_stack(head: PerfusionHead, scanner: Scanner) -> SliceStack:
    """Empty slices that cover the whole brain."""
    points = head.brain_points_lps @ rotation(scanner).T
    origins, column = slice_origins(scanner, points, _MARGIN_MM)
    row_step = np.array([scanner.pixel_mm, 0.0, 0.0])
    empty = np.broadcast_to(np.float32(0), (len(origins), scanner.matrix, scanner.matrix))
    return SliceStack(empty, origins, row_step, column * scanner.pixel_mm)


def slab_of(stack: SliceStack, head: PerfusionHead, scanner: Scanner, slices: int,
            raised_mm: float) -> SliceStack:  # fmt: skip
    """So many slices of a stack about the head's middle, or all of them where they are fewer."""
    height = float((rotation(scanner) @ head.centre_lps) @ stack.normal_lps) + raised_mm
    middle = int(np.abs(stack.distances_mm - height).argmin())
    count = min(slices, stack.shape[0])
    first = int(np.clip(middle - count // 2, 0, stack.shape[0] - count))
    chosen = slice(first, first + count)
    return SliceStack(
        stack.voxels[chosen], stack.origins_lps[chosen], stack.row_step_lps, stack.column_step_lps
    )
