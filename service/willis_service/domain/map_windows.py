"""The range of values in which a perfusion map is shown, in viewers and in the report."""

from __future__ import annotations

MAP_WINDOWS: dict[str, tuple[float, float]] = {
    "cbf": (0.0, 60.0),
    "cbv": (0.0, 6.0),
    "mtt": (0.0, 15.0),
    "tmax": (0.0, 12.0),
    "ttp": (0.0, 40.0),
}
"""(low, high) of each map in its unit (``codes.MAP_UNITS``)."""
