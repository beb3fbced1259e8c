"""How a simulated scan is acquired: slices, tilt, head position, field of view, noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THICKNESSES_MM = (1.0, 2.5, 3.0, 4.0, 5.0, 5.0, 5.0, 6.0, 7.0, 8.0)
"""Slice thicknesses to draw from: 5 mm is the commonest."""


@dataclass(frozen=True)
class Scanner:
    """One acquisition protocol and one head position.

    Angles in degrees; ``matrix`` pixels a side; ``noise_hu`` SD of a pixel; ``mixed`` doubles the
    slice step above the skull base, as older scanners do.
    """

    thickness_mm: float = 5.0
    field_of_view_mm: float = 230.0
    matrix: int = 256
    tilt_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    yaw_deg: float = 0.0
    noise_hu: float = 2.5
    hardening_hu: float = 3.0
    mixed: bool = False

    @property
    def pixel_mm(self) -> float:
        """Pixel spacing."""
        return self.field_of_view_mm / self.matrix


def draw_scanner(rng: np.random.Generator, matrix: int = 256) -> Scanner:
    """A scanner and a head position as they vary between hospitals."""
    tilted = rng.random() < 0.4
    return Scanner(
        thickness_mm=float(rng.choice(THICKNESSES_MM)),
        field_of_view_mm=float(rng.uniform(210.0, 250.0)),
        matrix=matrix,
        tilt_deg=float(rng.uniform(-25.0, 25.0)) if tilted else 0.0,
        pitch_deg=float(rng.uniform(-18.0, 18.0)),
        roll_deg=float(np.clip(rng.normal(0.0, 5.0), -12.0, 12.0)),
        yaw_deg=float(np.clip(rng.normal(0.0, 5.0), -12.0, 12.0)),
        noise_hu=float(rng.uniform(1.5, 5.0)),
        hardening_hu=float(rng.uniform(1.0, 5.0)),
        mixed=bool(rng.random() < 0.1),
    )


def rotation(scanner: Scanner) -> NDArray[np.float64]:
    """Head world to scanner world (3, 3): roll about y, pitch about x, yaw about z."""
    a, b, c = np.radians([scanner.pitch_deg, scanner.roll_deg, scanner.yaw_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def slice_origins(
    scanner: Scanner, brain_lps: NDArray[np.float64], margins_mm: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origins (n, 3) and column direction (3,) of slices that cover the brain points (m, 3).

    The table moves along z only, so that with gantry tilt the origins drift within the plane.
    ``margins_mm`` below and above the brain.
    """
    tilt = np.radians(scanner.tilt_deg)
    column = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    normal = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    heights = brain_lps @ normal
    low, high = heights.min() - margins_mm[0], heights.max() + margins_mm[1]
    along = _positions(low, high, scanner)
    centre = brain_lps.mean(axis=0)
    table_z = (along - centre @ normal) / normal[2]
    middle = centre + table_z[:, None] * np.array([0.0, 0.0, 1.0])
    half = scanner.pixel_mm * (scanner.matrix - 1) / 2
    return middle - half * column - np.array([half, 0.0, 0.0]), column


def _positions(low: float, high: float, scanner: Scanner) -> NDArray[np.float64]:
    step = scanner.thickness_mm
    if not scanner.mixed:
        return np.arange(low, high + step, step, dtype=np.float64)
    bend = low + 0.35 * (high - low)
    lower = np.arange(low, bend, step)
    return np.concatenate([lower, np.arange(lower[-1] + 1.5 * step, high + 2 * step, 1.5 * step)])
