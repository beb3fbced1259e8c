"""How a simulated perfusion scan is acquired: slab, clock, motion."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from willis_training.simulation.ctp.parameters import PARAMETERS, THICKNESSES_MM, draw, value
from willis_training.simulation.scanner import Scanner

Floats = NDArray[np.float64]

_CLOCK_JITTER_S = 0.02


@dataclass(frozen=True)
class Protocol:
    """One acquisition. ``scanner`` holds pixels, thickness, head position and native noise.

    ``shuttle``: the upper half of the slab is scanned half an interval after the lower one.
    ``late_dt_s``: the interval after `uneven_after_s` (the same as ``dt_s`` for even sampling).
    ``jerks``: how often the head moves to another position; ``whole_hu`` rounds as stored images
    are; a coarse grid that stands for averages of many pixels is not rounded.
    """

    scanner: Scanner
    slices: int
    dt_s: float = 1.5
    late_dt_s: float = 1.5
    duration_s: float = 60.0
    shuttle: bool = False
    jerks: int = 0
    whole_hu: bool = True
    two_boluses: bool = False
    raised_mm: float = 0.0

    @property
    def coverage_mm(self) -> float:
        """Extent of the slab."""
        return self.slices * self.scanner.thickness_mm

    def times_s(self, rng: np.random.Generator) -> Floats:
        """When each slice of each frame is scanned (t, z), the earliest 0."""
        early = np.arange(0.0, min(self.duration_s, value("uneven_after_s")), self.dt_s)
        late = np.arange(early[-1] + self.late_dt_s, self.duration_s, self.late_dt_s)
        starts = np.concatenate([early, late])
        starts = starts + np.r_[0.0, rng.uniform(0.0, _CLOCK_JITTER_S, len(starts) - 1)]
        times = np.repeat(starts[:, None], self.slices, axis=1)
        if self.shuttle:
            times[:, self.slices // 2 :] += self.dt_s / 2
        return times


def training_protocol(rng: np.random.Generator) -> Protocol:
    """A scan at the size that networks are trained on: pixels of about 1.8 mm."""
    thickness = float(rng.choice(THICKNESSES_MM))
    coverage = draw("coverage_mm", rng)
    scanner = draw_position(rng, matrix=112, thickness_mm=thickness)
    dt = draw("dt_s", rng)
    short = rng.random() < value("short_share")
    uneven = rng.random() < value("uneven_share") and dt < 1.75
    moving = rng.random() < value("moving_share")
    return Protocol(
        scanner=scanner,
        slices=max(round(coverage / thickness), 8),
        dt_s=dt,
        late_dt_s=2 * dt if uneven else dt,
        duration_s=draw("short_duration_s" if short else "duration_s", rng),
        shuttle=bool(rng.random() < value("shuttle_share")),
        jerks=int(rng.integers(1, 4)) if moving else 0,
        whole_hu=False,
        raised_mm=float(rng.normal(0.0, 6.0)),
    )


def native_protocol(rng: np.random.Generator, matrix: int = 512) -> Protocol:
    """A usual scan at the scanner's own size: 16 slices of 5 mm, 45 frames 1.5 s apart."""
    scanner = draw_position(rng, matrix=matrix, thickness_mm=5.0)
    return Protocol(scanner=scanner, slices=16, dt_s=1.5, late_dt_s=1.5, duration_s=67.4)


def draw_position(rng: np.random.Generator, *, matrix: int, thickness_mm: float) -> Scanner:
    """Field of view, head position and noise."""
    return Scanner(
        thickness_mm=thickness_mm,
        field_of_view_mm=draw("field_of_view_mm", rng),
        matrix=matrix,
        tilt_deg=float(rng.uniform(-15.0, 15.0)) if rng.random() < 0.2 else 0.0,
        pitch_deg=float(rng.uniform(-10.0, 10.0)),
        roll_deg=float(np.clip(rng.normal(0.0, 4.0), -10.0, 10.0)),
        yaw_deg=float(np.clip(rng.normal(0.0, 4.0), -10.0, 10.0)),
        noise_hu=draw("noise_hu", rng),
        hardening_hu=0.0,
    )


@dataclass(frozen=True)
class Pose:
    """A rigid displacement of the head: turns about its middle (deg) and a shift (LPS mm)."""

    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def undone(self, world_lps: Floats, middle_lps: Floats) -> Floats:
        """Where the head's points that now lie at ``world_lps`` (..., 3) lay at rest."""
        a, b, c = np.radians(self.turn_deg)
        about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
        about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
        about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
        turned = about_z @ about_y @ about_x
        return np.asarray((world_lps - np.array(self.shift_mm) - middle_lps) @ turned + middle_lps)


@dataclass(frozen=True)
class Motion:
    """Positions of the head, and which one holds in each frame (t,)."""

    poses: tuple[Pose, ...] = (Pose(),)
    of_frame: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))


def draw_motion(protocol: Protocol, frames: int, rng: np.random.Generator) -> Motion:
    """The head lies still between jerks, and does not come back to where it was."""
    moments = np.sort(rng.integers(1, frames, protocol.jerks))
    held = np.searchsorted(moments, np.arange(frames), side="right")
    poses = [Pose()]
    for _ in range(protocol.jerks):
        shift = _signed("motion_mm", rng)
        poses.append(Pose(_signed("motion_deg", rng), shift))
    return Motion(tuple(poses), held)


def _signed(key: str, rng: np.random.Generator) -> tuple[float, float, float]:
    """Three numbers within plus or minus one draw of a range; most draws are small."""
    low, high = PARAMETERS[key].low, PARAMETERS[key].high
    size = low + (high - low) * float(rng.random()) ** 2
    x, y, z = rng.uniform(-size, size, 3)
    return float(x), float(y), float(z)
