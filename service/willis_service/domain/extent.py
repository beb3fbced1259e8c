"""The part of space that a series covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Extent:
    """A box along the patient's axes, DICOM LPS millimetres."""

    low_lps: Point
    high_lps: Point

    @classmethod
    def around(cls, places_lps: Iterable[Sequence[float]]) -> Extent:
        """The smallest box that holds all these places."""
        axes = list(zip(*places_lps, strict=True))
        low, high = [min(axis) for axis in axes], [max(axis) for axis in axes]
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))

    def holds(self, place_lps: Sequence[float]) -> bool:
        """Whether a place lies within the box."""
        bounds = zip(self.low_lps, place_lps, self.high_lps, strict=True)
        return all(low <= at <= high for low, at, high in bounds)

    def __str__(self) -> str:
        """``x -110 to 110, y -90 to 130, z 0 to 75 mm``."""
        spans = zip("xyz", self.low_lps, self.high_lps, strict=True)
        return ", ".join(f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in spans) + " mm"
