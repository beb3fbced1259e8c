"""What was put into a simulated scan, on its slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from willis_models.volume import SliceStack
from willis_training.simulation.ctp.enhancement import tissue_state
from willis_training.simulation.ctp.scene import Scene, SliceView
from willis_training.simulation.ctp.stroke import PerfusionStroke

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_BRAIN_SHARE = 0.5


@dataclass(frozen=True)
class Truth:
    """What was put in, on the native slices (z, y, x).

    ``cbf`` mL/100g/min, ``cbv`` mL/100g, ``mtt`` and ``delay_s`` seconds; 0 outside brain tissue.
    ``brain`` voxels that are mostly brain tissue; the other masks lie within it.
    """

    cbf: Floats
    cbv: Floats
    mtt: Floats
    delay_s: Floats
    brain: Mask
    core: Mask
    penumbra: Mask
    final_infarct: Mask


class TrueMaps(NamedTuple):
    """One slice (y, x) of the truth's maps."""

    cbf: Floats
    cbv: Floats
    mtt: Floats
    delay_s: Floats
    brain: Mask


def true_maps(view: SliceView) -> TrueMaps:
    """Flow and volume add up over grey and white matter; the delay is the mean of what flows."""
    grey, white = tissue_state(view, "grey"), tissue_state(view, "white")
    cbf = view.grey * grey.cbf + view.white * white.cbf
    cbv = view.grey * grey.cbv + view.white * white.cbv
    flow = np.maximum(cbf, 1e-6)
    delay = (view.grey * grey.cbf * grey.delay_s + view.white * white.cbf * white.delay_s) / flow
    brain = view.grey + view.white > _BRAIN_SHARE

    def within(values: Floats) -> Floats:
        return np.where(brain, values, 0).astype(np.float32)

    return TrueMaps(within(cbf), within(cbv), within(60 * cbv / flow), within(delay), brain)


def truth_on(
    slab: SliceStack, maps: Sequence[TrueMaps], scene: Scene, stroke: PerfusionStroke | None
) -> Truth:
    """The slices' maps together, with the stroke's masks on the same slices."""
    cbf, cbv, mtt, delay_s, brain = (np.stack(one) for one in zip(*maps, strict=True))

    def on_slices(coarse: Mask | None) -> Mask:
        if coarse is None:
            return np.zeros(brain.shape, bool)
        seen = np.stack([scene.mask(coarse, slab, k) for k in range(len(brain))])
        return np.asarray(seen & brain)

    core = on_slices(stroke.core if stroke else None)
    hypoperfused = on_slices(stroke.core | stroke.penumbra if stroke else None)
    final = on_slices(stroke.final_infarct if stroke else None)
    return Truth(cbf, cbv, mtt, delay_s, brain, core, hypoperfused & ~core, final)
