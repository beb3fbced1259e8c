"""HU that contrast adds to a slice: by tissue and its state, and in arteries and veins."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from willis_training.simulation.ctp.curves import Contrast, look_up
from willis_training.simulation.ctp.parameters import value
from willis_training.simulation.ctp.scene import SliceView

Floats = NDArray[np.float32]
Tissue = Literal["grey", "white"]

_TISSUE_SHARE = 0.02
_SEVERITIES = (0.0, 1.0, 2.0)
"""Normal, reduced, severe; between them by interpolation."""
_STATES = ("normal", "reduced", "severe")


class Painter:
    """Enhancement of a slice at some times."""

    def __init__(self, contrast: Contrast) -> None:
        self._contrast = contrast
        self._grey = contrast.tissue(contrast.grey)
        self._white = contrast.tissue(contrast.white)

    def enhancement(self, view: SliceView, times_s: NDArray[np.float64]) -> Floats:
        """HU added by contrast, (F, y, x)."""
        total = np.zeros((view.hu.size, len(times_s)), np.float32)
        self._add_tissue(total, view.grey, tissue_state(view, "grey"), self._grey.at(times_s))
        self._add_tissue(total, view.white, tissue_state(view, "white"), self._white.at(times_s))
        self._add_vessels(total, view, times_s)
        self._add_soft(total, view, times_s)
        return np.moveaxis(total.reshape(*view.hu.shape, -1), -1, 0)

    def _add_tissue(
        self, total: Floats, share: Floats, state: TissueState, table: NDArray[np.float32]
    ) -> None:
        at = np.flatnonzero(share.ravel() > _TISSUE_SHARE)
        cbf, delay, mtt = (one.ravel()[at] for one in (state.cbf, state.delay_s, state.mtt_s))
        total[at] += (share.ravel()[at] * cbf)[:, None] * look_up(table, delay, mtt)

    def _add_soft(self, total: Floats, view: SliceView, times_s: NDArray[np.float64]) -> None:
        """Scalp and muscles, which fill late and slowly."""
        delay, mtt = (np.array([value(f"soft_{name}_s")], np.float32) for name in ("delay", "mtt"))
        soft = look_up(self._white.at(times_s), delay, mtt)
        at = np.flatnonzero(view.soft.ravel() > _TISSUE_SHARE)
        total[at] += (view.soft.ravel()[at] * np.float32(value("soft_cbf")))[:, None] * soft

    def _add_vessels(self, total: Floats, view: SliceView, times_s: NDArray[np.float64]) -> None:
        arterial = self._contrast.arterial.at(times_s)
        for share, closed in ((view.artery, False), (view.closed_trunk, True)):
            at = np.flatnonzero(share.ravel() > 0)
            severity = view.severity.ravel()[at]
            delay, flow = (by_severity(severity, f"artery_{name}") for name in ("delay", "flow"))
            if closed:
                delay = np.full_like(delay, value("closed_delay_s"))
                flow = np.full_like(flow, value("closed_flow"))
            total[at] += (share.ravel()[at] * flow)[:, None] * look_up(arterial, delay, None)
        venous = np.interp(
            times_s, self._contrast.clock_s, self._contrast.venous.astype(np.float64)
        )
        at = np.flatnonzero(view.vein.ravel() > 0)
        total[at] += view.vein.ravel()[at][:, None] * venous.astype(np.float32)


class TissueState(NamedTuple):
    """What flows through the grey or the white matter of a slice, each (y, x).

    ``cbf`` mL/100g/min, ``cbv`` mL/100g.
    """

    cbf: Floats
    cbv: Floats
    mtt_s: Floats
    delay_s: Floats


def tissue_state(view: SliceView, tissue: Tissue) -> TissueState:
    """Flow falls and transit rises with severity, each patient's tissue being uneven."""
    logs = [np.log(value(f"{tissue}_cbf_{state}")) for state in _STATES]
    cbf = np.exp(np.interp(view.severity, _SEVERITIES, logs)).astype(np.float32)
    cbv = by_severity(view.severity, f"{tissue}_cbv")
    mtt_s = np.maximum(60.0 * cbv / cbf + view.mtt_jitter, 1.5)
    cbf = cbf * np.clip(1.0 + view.cbf_jitter, 0.4, 1.6)
    delay_s = by_severity(view.severity, f"{tissue}_delay")
    return TissueState(cbf, cbf * mtt_s / 60.0, mtt_s, delay_s)


def by_severity(severity: Floats, name: str) -> Floats:
    """A parameter that has a value for each state, between them by interpolation."""
    ends = [value(f"{name}_{state}") for state in _STATES]
    return np.interp(severity, _SEVERITIES, ends).astype(np.float32)
