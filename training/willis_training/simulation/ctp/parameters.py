"""Every number of the CT perfusion simulator: unit, range and source, in one table.

``docs/simulation-ctp.md`` shows this table; a test holds the two equal. Sources: [L] published,
[M] measured for this project, [A] a choice that no measurement backs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True)
class Parameter:
    """One number, or a range from which each scan draws anew."""

    key: str
    meaning: str
    unit: str
    low: float
    high: float
    source: str

    @property
    def value(self) -> float:
        """The number of a fixed parameter; raises ValueError for a range."""
        if self.low != self.high:
            raise ValueError(f"{self.key} is a range: draw from it.")
        return self.low

    def draw(self, rng: np.random.Generator) -> float:
        """A number of the range, uniform."""
        return float(rng.uniform(self.low, self.high))

    @property
    def shown(self) -> str:
        """The range as the page shows it."""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


_CLASSES = "[L] Digital Brain Perfusion Phantom (Erlangen), after Riordan 2011"
_PROTOCOL = "[L] acute stroke CT perfusion protocols"
_OUTCOME = "[A] tuned to the ceiling of what maps can predict, see below"


def _fixed(key: str, meaning: str, unit: str, value: float, source: str) -> Parameter:
    return Parameter(key, meaning, unit, value, value, source)


_TABLE = (
    # tissue: normal, reduced, severe
    _fixed("grey_cbf_normal", "CBF, grey, normal", "mL/100g/min", 53.0, _CLASSES),
    _fixed("grey_cbf_reduced", "CBF, grey, reduced", "mL/100g/min", 16.0, _CLASSES),
    _fixed("grey_cbf_severe", "CBF, grey, severely reduced", "mL/100g/min", 5.3, _CLASSES),
    _fixed("white_cbf_normal", "CBF, white, normal", "mL/100g/min", 25.0, _CLASSES),
    _fixed("white_cbf_reduced", "CBF, white, reduced", "mL/100g/min", 7.5, _CLASSES),
    _fixed("white_cbf_severe", "CBF, white, severely reduced", "mL/100g/min", 2.5, _CLASSES),
    _fixed("grey_cbv_normal", "CBV, grey, normal", "mL/100g", 3.3, _CLASSES),
    _fixed("grey_cbv_reduced", "CBV, grey, reduced", "mL/100g", 3.0, _CLASSES),
    _fixed("grey_cbv_severe", "CBV, grey, severely reduced", "mL/100g", 0.71, _CLASSES),
    _fixed("white_cbv_normal", "CBV, white, normal", "mL/100g", 1.9, _CLASSES),
    _fixed("white_cbv_reduced", "CBV, white, reduced", "mL/100g", 1.7, _CLASSES),
    _fixed("white_cbv_severe", "CBV, white, severely reduced", "mL/100g", 0.42, _CLASSES),
    _fixed("grey_delay_normal", "delay, grey, normal", "s", 1.0, _CLASSES),
    _fixed("grey_delay_reduced", "delay, grey, reduced", "s", 4.0, _CLASSES),
    _fixed("grey_delay_severe", "delay, grey, severely reduced", "s", 9.0, _CLASSES),
    _fixed("white_delay_normal", "delay, white, normal", "s", 1.0, _CLASSES),
    _fixed("white_delay_reduced", "delay, white, reduced", "s", 8.0, _CLASSES),
    _fixed("white_delay_severe", "delay, white, severely reduced", "s", 12.0, _CLASSES),
    _fixed("cbf_jitter", "jitter of CBF, SD as a share (14 of 53 at its limits)", "1", 0.13, "[L]"),
    _fixed("mtt_jitter_s", "jitter of MTT, SD (0.7 s at its limits)", "s", 0.35, "[L]"),
    _fixed("jitter_cells_mm", "size of a bump of the jitter", "mm", 10.0, "[A]"),
    Parameter("dispersion_share", "dispersion's time constant by delay", "1", 0.0, 0.4, "[A]"),
    _fixed("density_g_ml", "density of brain, rho", "g/mL", 1.04, "[L]"),
    _fixed("haematocrit_factor", "large to small vessels, kappa", "1", 0.73, "[L]"),
    _fixed("soft_cbf", "CBF of muscle, scalp, mucosa and dura", "mL/100g/min", 6.0, "[A]"),
    _fixed("soft_mtt_s", "their transit time", "s", 20.0, "[A]"),
    _fixed("soft_delay_s", "their delay", "s", 3.0, "[A]"),
    _fixed("artery_delay_normal", "delay of an artery in normal tissue", "s", 0.0, "[A]"),
    _fixed("artery_delay_reduced", "the same, flow reduced", "s", 3.0, "[A]"),
    _fixed("artery_delay_severe", "the same, flow severely reduced", "s", 7.0, "[A]"),
    _fixed("artery_flow_normal", "enhancement of an artery, as a share", "1", 1.0, "[A]"),
    _fixed("artery_flow_reduced", "the same, flow reduced", "1", 0.75, "[A]"),
    _fixed("artery_flow_severe", "the same, flow severely reduced", "1", 0.3, "[A]"),
    _fixed("closed_delay_s", "delay of the closed trunk", "s", 8.0, "[A]"),
    _fixed("closed_flow", "its enhancement, as a share", "1", 0.1, "[A]"),
    _fixed("fat_hu", "fat of the orbit", "HU", -95.0, "[L] textbook"),
    # bolus
    Parameter("aif_peak_hu", "peak of a fully arterial voxel over baseline", "HU", 260.0, 380.0,
              "[M] gives grey matter 8 to 13 HU at its peak"),
    _fixed("aif_power", "power a of the bolus (t-t0)^a exp(-(t-t0)/b)", "1", 3.0, "[L]"),
    Parameter("aif_scale_s", "its time constant b", "s", 1.3, 2.0, "[L] 1.5, widened"),
    Parameter("arrival_s", "bolus arrival t0 after the first frame", "s", 6.0, 14.0, _PROTOCOL),
    Parameter("recirculation", "recirculation's height over the peak's", "1", 0.14, 0.22,
              "[L] about 0.18"),
    Parameter("recirculation_delay_s", "recirculation begins after", "s", 8.0, 12.0, "[A]"),
    _fixed("recirculation_decay_s", "recirculation fades with", "s", 60.0, "[A]"),
    Parameter("venous_transit_s", "mean transit from artery to sinus", "s", 4.5, 7.0, "[A]"),
    _fixed("second_bolus_s", "a second bolus, where there is one, after", "s", 50.0, "[A]"),
    # acquisition
    Parameter("dt_s", "sampling interval", "s", 1.0, 3.0, _PROTOCOL),
    Parameter("duration_s", "length of the scan", "s", 56.0, 75.0, _PROTOCOL),
    Parameter("short_duration_s", "length of a truncated scan", "s", 45.0, 56.0,
              "[L] 48 s truncates most tissue curves"),
    _fixed("short_share", "share of truncated scans", "1", 0.1, "[A]"),
    _fixed("shuttle_share", "share of scans in shuttle mode, two slabs in turn", "1", 0.2, "[A]"),
    _fixed("uneven_share", "share of scans with a doubled interval late", "1", 0.15, "[A]"),
    _fixed("uneven_after_s", "where the doubled interval begins", "s", 45.0, "[A]"),
    Parameter("coverage_mm", "slab along z (40 to 160 possible)", "mm", 75.0, 150.0, _PROTOCOL),
    Parameter("thickness_mm", "slice thickness, one of 4, 5 (x4), 6, 8, 10", "mm", 4.0, 10.0,
              _PROTOCOL),
    Parameter("field_of_view_mm", "field of view", "mm", 205.0, 240.0, _PROTOCOL),
    Parameter("noise_hu", "noise of a 0.45 mm pixel, SD", "HU", 2.0, 6.0, "[A] 80 kVp, 5 mm"),
    _fixed("native_pixel_mm", "pixel that the noise is given for", "mm", 0.45, "[A]"),
    _fixed("moving_share", "share of scans in which the head moves", "1", 0.4, "[A]"),
    Parameter("motion_mm", "shift of a jerk, each axis within +-", "mm", 0.2, 3.0, "[A]"),
    Parameter("motion_deg", "turn of a jerk, each axis within +-", "deg", 0.2, 3.0, "[A]"),
    # outcome
    Parameter("onset_h", "onset to imaging", "h", 1.5, 16.0, "[A]"),
    _fixed("reperfused_share", "share of patients in whom flow returns", "1", 0.6, "[A]"),
    Parameter("growth_reperfused", "share of final infarct alive at imaging, flow returns",
              "1", 0.1, 0.75, _OUTCOME),
    Parameter("growth_occluded", "the same, flow does not return", "1", 0.35, 0.9, _OUTCOME),
    Parameter("salvage_reperfused", "hypoperfused volume over final infarct, flow returns", "1",
              1.3, 5.0, _OUTCOME),
    Parameter("salvage_occluded", "the same, flow does not return", "1", 1.05, 1.8, _OUTCOME),
    _fixed("hypoperfused_limit_ml", "hypoperfused tissue is at most", "mL", 260.0, "[A]"),
    Parameter("border_noise_mm", "unevenness of the borders, SD", "mm", 3.0, 9.0, _OUTCOME),
    _fixed("border_cells_mm", "size of a bump of that unevenness", "mm", 16.0, "[A]"),
    Parameter("silent_share", "part of the final infarct with normal flow at imaging", "1", 0.0,
              0.35, _OUTCOME),
    Parameter("reversed_share", "part of the core that survives when flow returns early", "1", 0.0,
              0.25, _OUTCOME),
    _fixed("territory_penalty_mm", "crossing into another territory costs as much as", "mm", 25.0,
           "[A]"),
    Parameter("oligaemia_mm", "reach of benign oligaemia beyond the hypoperfused tissue", "mm", 4.0,
              14.0, "[A]"),
    _fixed("oligaemia_level", "severity of benign oligaemia at its edge", "1", 0.35, "[A]"),
    _fixed("edge_mm", "blur of severity at borders, SD", "mm", 2.0, "[A]"),
    _fixed("join_per_h", "without return of flow, logit of dying for each hour", "1/h", 0.15,
           _OUTCOME),
    _fixed("join_middle_h", "the same at the lesion's edge is 0 after", "h", 8.0, _OUTCOME),
    _fixed("join_mm", "the same falls by 1 for each so many mm away", "mm", 8.0, _OUTCOME),
    _fixed("trunk_closed_ml", "M1 is closed where more than this is hypoperfused", "mL", 60.0,
           "[A]"),
    Parameter("reduced_level", "severity of the penumbra (1 = class reduced)", "1", 0.75, 1.3,
              "[A]"),
    Parameter("severe_level", "severity of the core (2 = class severe)", "1", 1.6, 2.0, "[A]"),
    Parameter("hypodensity_hu_h", "darkening of the core on CT per hour since onset", "HU/h", 0.2,
              0.7, "[A] 1% water is 1.8 HU [L]"),
)  # fmt: skip

PARAMETERS: Mapping[str, Parameter] = MappingProxyType({one.key: one for one in _TABLE})

THICKNESSES_MM = (4.0, 5.0, 5.0, 5.0, 5.0, 6.0, 8.0, 10.0)
"""Slice thicknesses to draw from."""


def value(key: str) -> float:
    """A fixed parameter."""
    return PARAMETERS[key].value


def draw(key: str, rng: np.random.Generator) -> float:
    """A parameter drawn from its range."""
    return PARAMETERS[key].draw(rng)


def markdown_table() -> str:
    """The table as the page shows it."""
    lines = ["| parameter | meaning | unit | value or range | source |", "|---|---|---|---|---|"]
    for one in PARAMETERS.values():
        lines.append(f"| `{one.key}` | {one.meaning} | {one.unit} | {one.shown} | {one.source} |")
    return "\n".join(lines)
