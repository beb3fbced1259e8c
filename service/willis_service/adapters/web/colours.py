"""Colours of perfusion maps: fixed clinical scales, and steps that look equally large.

The colour maps are viridis and inferno (Smith and van der Walt, CC0): lightness rises evenly, so
that they read in grey and with any colour vision. Blood flow and volume are dark where little
flows; times are bright where it comes late. What nothing is known of stays grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_service.domain.map_windows import MAP_WINDOWS

Floats = NDArray[np.float64]

_VIRIDIS = "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725"
_INFERNO = "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4"


def _anchors(text: str) -> Floats:
    return np.array([[int(one[n : n + 2], 16) for n in (0, 2, 4)] for one in text.split()], float)


_MAPS = {"viridis": _anchors(_VIRIDIS), "inferno": _anchors(_INFERNO)}


@dataclass(frozen=True)
class MapScale:
    """How one map is shown: its name, unit as people write it, and marks of the bar."""

    key: str
    title: str
    unit: str
    ticks: Sequence[float]
    colours: str

    @property
    def high(self) -> float:
        """The value at the bright end of the scale, which begins at 0."""
        return MAP_WINDOWS[self.key][1]

    def coloured(self, values: Floats) -> Floats:
        """Colours (..., 3), 0 to 255, of values from 0 to ``high``; what is beyond is cut off."""
        anchors = _MAPS[self.colours]
        place = np.clip(np.nan_to_num(values) / self.high, 0, 1) * (len(anchors) - 1)
        channels = [np.interp(place, np.arange(len(anchors)), anchors[:, n]) for n in range(3)]
        return np.stack(channels, axis=-1)


SCALES = (
    MapScale("cbf", "CBF", "mL/100 g/min", (0, 20, 40, 60), "viridis"),
    MapScale("cbv", "CBV", "mL/100 g", (0, 2, 4, 6), "viridis"),
    MapScale("mtt", "MTT", "s", (0, 5, 10, 15), "inferno"),
    MapScale("tmax", "Tmax", "s", (0, 4, 6, 8, 10, 12), "inferno"),
)
