"""The outcome model: from the infarct that follow-up showed back to the flow at imaging.

A real lesion mask is the final infarct. Whether flow returned, when, and how good the collaterals
were is drawn; the core at imaging is what lies deep in the lesion, the penumbra what lies around it
within the arterial territory. None of the draws can be read from the maps, so that the maps predict
the outcome only so well. Everything here is coarse: every second voxel of the head's grid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.simulation.ctp.head import COARSE_STEP, PerfusionHead
from willis_training.simulation.ctp.parameters import draw, value
from willis_training.simulation.ctp.vessels import LEFT_M1, RIGHT_M1
from willis_training.simulation.pathology import smooth_field

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Course:
    """What happened to the patient: the draws that no map shows."""

    onset_h: float
    reperfused: bool
    growth: float
    salvage: float
    border_noise_mm: float
    silent_share: float
    reversed_share: float


def draw_course(rng: np.random.Generator) -> Course:
    """One patient's course."""
    reperfused = bool(rng.random() < value("reperfused_share"))
    fate = "reperfused" if reperfused else "occluded"
    return Course(
        onset_h=draw("onset_h", rng),
        reperfused=reperfused,
        growth=draw(f"growth_{fate}", rng),
        salvage=draw(f"salvage_{fate}", rng),
        border_noise_mm=draw("border_noise_mm", rng),
        silent_share=draw("silent_share", rng),
        reversed_share=draw("reversed_share", rng) if reperfused else 0.0,
    )


@dataclass(frozen=True)
class PerfusionStroke:
    """A stroke in a head's coarse voxels (z, y, x).

    ``severity`` of the flow's reduction (0 normal, 1 reduced, 2 severe; between them by
    interpolation), ``core`` and ``penumbra`` at imaging, ``final_infarct`` at follow-up.
    ``trunk`` is the M1 segment that is closed (see `Vessels`), 0 for none.
    """

    severity: Floats
    core: Mask
    penumbra: Mask
    final_infarct: Mask
    course: Course
    trunk: int = 0
    lesion: str = ""

    def named(self, lesion: str) -> PerfusionStroke:
        """The same stroke, with the name of its lesion."""
        return replace(self, lesion=lesion)


def draw_stroke(
    head: PerfusionHead,
    infarct: Mask,
    territory: NDArray[np.uint8],
    rng: np.random.Generator,
    course: Course | None = None,
) -> PerfusionStroke:
    """Imaging findings that lead to a final infarct.

    ``infarct`` the real lesion, ``territory`` a number for each arterial territory and side (0 for
    none), both coarse (z, y, x).
    """
    course = course or draw_course(rng)
    step_mm = head.coarse_mm
    uneven = _Borders(infarct.shape, step_mm, course.border_noise_mm, rng)
    seen = infarct & ~_share_of(infarct, course.silent_share, uneven())
    depth = ndimage.distance_transform_edt(seen).astype(np.float32) * step_mm + uneven()
    core = _top(depth, seen, (1.0 - course.growth) * infarct.sum())
    around = _spread(seen, territory, step_mm) + uneven()
    most = value("hypoperfused_limit_ml") * 1000.0 / step_mm**3
    wanted = min(course.salvage * infarct.sum(), most) - seen.sum()
    reachable = head.brain & ~infarct & _same_side(seen, territory)
    penumbra = (seen & ~core) | _top(-around, reachable, wanted)
    saved = core & _share_of(core, course.reversed_share, uneven())
    joined = _joins(penumbra & ~infarct, around, course, rng)
    final = (infarct & ~saved) | joined
    closed = (core | penumbra).sum() * step_mm**3 / 1000.0 > value("trunk_closed_ml")
    return PerfusionStroke(
        severity=_severity(core, penumbra, around, territory, step_mm, rng),
        core=core,
        penumbra=penumbra,
        final_infarct=final,
        course=course,
        trunk=_trunk(core | penumbra, head) if closed else 0,
    )


class _Borders:
    """Draws smooth fields that move a border by so many millimetres."""

    def __init__(
        self, shape: tuple[int, ...], step_mm: float, sd_mm: float, rng: np.random.Generator
    ) -> None:
        self._shape, self._rng, self._sd_mm = shape, rng, sd_mm
        self._cells = value("border_cells_mm") / step_mm

    def __call__(self) -> Floats:
        return smooth_field(self._shape, self._rng, self._cells, self._sd_mm)


def _top(score: Floats, among: Mask, count: float) -> Mask:
    """The ``count`` voxels of ``among`` with the highest score."""
    chosen = np.zeros(among.shape, dtype=bool)
    where = np.flatnonzero(among)
    keep = min(max(round(float(count)), 0), len(where))
    if keep:
        best = np.argpartition(-score.ravel()[where], keep - 1)[:keep]
        chosen.ravel()[where[best]] = True
    return chosen


def _share_of(mask: Mask, share: float, score: Floats) -> Mask:
    """A share of a mask, in smooth patches."""
    return _top(score, mask, share * float(mask.sum()))


def _spread(seen: Mask, territory: NDArray[np.uint8], step_mm: float) -> Floats:
    """Distance from the lesion, longer across the border of its territory."""
    if not seen.any():
        return np.full(seen.shape, 1e3, np.float32)
    away = ndimage.distance_transform_edt(~seen).astype(np.float32) * step_mm
    counts = np.bincount(territory[seen], minlength=2)
    counts[0] = 0
    foreign = territory != int(counts.argmax())
    return np.asarray(away + value("territory_penalty_mm") * foreign, dtype=np.float32)


def _same_side(seen: Mask, territory: NDArray[np.uint8]) -> Mask:
    """Territories of the hemisphere that holds most of the lesion: left ones are odd."""
    inside = territory[seen & (territory > 0)]
    is_left = inside.size > 0 and (inside % 2).mean() > 0.5
    return np.asarray((territory > 0) & (territory % 2 == (1 if is_left else 0)))


def _joins(penumbra: Mask, around: Floats, course: Course, rng: np.random.Generator) -> Mask:
    """Penumbra that dies although the real lesion spared it: where flow did not return, by a
    logistic in closeness to the lesion and in time."""
    if course.reperfused:
        return np.zeros_like(penumbra)
    hours = course.onset_h - value("join_middle_h")
    logit = value("join_per_h") * hours - around / value("join_mm")
    luck = ndimage.gaussian_filter(rng.standard_normal(penumbra.shape).astype(np.float32), 3.0)
    ranks = luck / max(float(luck.std()), 1e-6)
    return np.asarray(penumbra & (1.7 * ranks < logit))


def _severity(
    core: Mask,
    penumbra: Mask,
    around: Floats,
    territory: NDArray[np.uint8],
    step_mm: float,
    rng: np.random.Generator,
) -> Floats:
    """0 normal, 1 reduced, 2 severe, with soft edges and benign oligaemia around."""
    reduced, severe = draw("reduced_level", rng), draw("severe_level", rng)
    reach = draw("oligaemia_mm", rng)
    level = np.where(core, severe, np.where(penumbra, reduced, 0.0)).astype(np.float32)
    beyond = ndimage.distance_transform_edt(level == 0) * step_mm
    rim = value("oligaemia_level") * np.exp(-beyond / reach) * (territory > 0) * (around < 1e3)
    level = np.maximum(level, rim.astype(np.float32))
    uneven = smooth_field(level.shape, rng, 8.0 / step_mm, 0.15, 1.0)
    return np.asarray(ndimage.gaussian_filter(level * uneven, value("edge_mm") / step_mm))


def _trunk(hypoperfused: Mask, head: PerfusionHead) -> int:
    """The middle cerebral artery's trunk on the side of the hypoperfused tissue."""
    k, j, i = (axis.mean() for axis in np.nonzero(hypoperfused))
    x_lps = head.grid.to_world(np.array([k, j, i]) * COARSE_STEP)[0]
    return LEFT_M1 if x_lps > head.centre_lps[0] else RIGHT_M1
