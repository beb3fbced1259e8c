"""Attenuation of each label of a head map, drawn anew for each simulated scan.

HU values from ``docs/simulation.md``; labels are SynthSeg's (FreeSurfer's, and from 500 up the
extracerebral ones).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from willis_training.curation.label_codes import CSF_CODES

WHITE = (2, 41, 7, 46, 16, 28, 60, 85, 25, 57)
CORTEX = (3, 42, 17, 53, 18, 54, 26, 58)
CEREBELLAR_CORTEX = (8, 47)
CAUDATE_THALAMUS = (11, 50, 10, 49)
PUTAMEN_PALLIDUM = (12, 51, 13, 52)
BLOOD = (30, 62, 502)
SKULL = (515, 514, 512)
DIPLOE = (516,)
SCALP = (511,)
SOFT = (507, 508, 530)
EYE = (506,)
AIR = (509, 0)

GREY = (*CORTEX, *CEREBELLAR_CORTEX, *CAUDATE_THALAMUS, *PUTAMEN_PALLIDUM)
LIMIT = 1024
"""Label codes are below this: tables indexed by code have this length."""


@dataclass(frozen=True)
class Attenuation:
    """Mean HU of each label code, (LIMIT,)."""

    hu: NDArray[np.float32]

    def paint(self, labels: NDArray[np.uint16]) -> NDArray[np.float32]:
        """HU of every voxel of a label map."""
        return self.hu[labels]


def draw_attenuation(rng: np.random.Generator) -> Attenuation:
    """One scanner's and one patient's attenuation: offsets and contrasts vary between scans."""
    hu = np.full(LIMIT, 40.0, dtype=np.float32)
    white = rng.normal(28.5, 2.0) + rng.uniform(-2.0, 2.0)
    contrast = float(np.clip(rng.normal(6.5, 1.5), 3.0, 10.0))
    values = {
        WHITE: white,
        CORTEX: white + contrast,
        CEREBELLAR_CORTEX: white + contrast + 2.0,
        CAUDATE_THALAMUS: white + 0.8 * contrast,
        PUTAMEN_PALLIDUM: white + 1.2 * contrast,
        CSF_CODES: float(np.clip(rng.normal(6.0, 3.0), 0.0, 13.0)),
        BLOOD: rng.normal(40.0, 4.0),
        SKULL: rng.uniform(900.0, 1500.0),
        DIPLOE: rng.uniform(400.0, 800.0),
        SCALP: rng.uniform(0.0, 50.0),
        SOFT: rng.uniform(20.0, 55.0),
        EYE: rng.uniform(5.0, 20.0),
        AIR: -1000.0,
    }
    for codes, value in values.items():
        hu[list(codes)] = value
    return Attenuation(hu)


def membership(codes: tuple[int, ...]) -> NDArray[np.float32]:
    """A table (LIMIT,) that is 1 for the given codes."""
    table = np.zeros(LIMIT, dtype=np.float32)
    table[list(codes)] = 1.0
    return table
