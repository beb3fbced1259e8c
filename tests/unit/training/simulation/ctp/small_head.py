"""The small labelled head with its vessels, and strokes in it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from tests.unit.training.labelled_head import anatomy, coarse_points
from willis_training.simulation.ctp.head import PerfusionHead, perfusion_head
from willis_training.simulation.ctp.protocol import Protocol
from willis_training.simulation.ctp.stroke import Course, PerfusionStroke, draw_stroke
from willis_training.simulation.scanner import Scanner

LEFT_MCA, RIGHT_MCA = 3, 4
COURSE = Course(
    onset_h=5.0,
    reperfused=True,
    growth=0.4,
    salvage=2.0,
    border_noise_mm=0.0,
    silent_share=0.0,
    reversed_share=0.0,
)
QUIET = Protocol(
    scanner=Scanner(
        thickness_mm=4.0, field_of_view_mm=84.0, matrix=42, noise_hu=0.0, hardening_hu=0.0
    ),
    slices=8,
    dt_s=1.5,
    late_dt_s=1.5,
    duration_s=60.0,
    whole_hu=False,
)
"""No noise, no motion."""


@cache
def head() -> PerfusionHead:
    """The head, its shape never changed."""
    return replace(perfusion_head(anatomy()), anatomy=None)


def territory() -> np.ndarray:
    """Two territories: the left and the right hemisphere."""
    x_lps = coarse_points()[..., 0]
    return np.where(head().brain, np.where(x_lps > 0, LEFT_MCA, RIGHT_MCA), 0).astype(np.uint8)


def ball(radius_mm: float = 11.0, x_lps: float = 14.0) -> np.ndarray:
    """A final infarct: a ball of brain on the left."""
    distance = np.linalg.norm(coarse_points() - np.array([x_lps, 0.0, 0.0]), axis=-1)
    return (distance < radius_mm) & head().brain


def stroke(course: Course = COURSE, seed: int = 3) -> PerfusionStroke:
    return draw_stroke(head(), ball(), territory(), np.random.default_rng(seed), course)
