"""Simulated perfusion studies by name: head and number say everything that was drawn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from willis_models.pipelines.base import Case, InputImage
from willis_training.curation.heads import load_head
from willis_training.datasets.head_split import heads_of, part_of
from willis_training.datasets.lesions import LesionBank, load_bank
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.ctp.head import PerfusionHead, perfusion_head
from willis_training.simulation.ctp.perfusion import SimulatedPerfusion, simulate_perfusion
from willis_training.simulation.ctp.protocol import training_protocol
from willis_training.simulation.ctp.stroke import PerfusionStroke, draw_stroke
from willis_training.simulation.ctp.territory import (
    lesion_in,
    read_territories,
    suitable_lesions,
    territories_in,
)

LesionPart = Literal["train", "test"]
_LEAST_VOXELS = 100
_TRIES = 20


@dataclass(frozen=True)
class SimulatedCase:
    """A study under its name, such as ``head_04_0007``, with the head and lesion it is made of."""

    name: str
    head: str
    lesion: str
    study: SimulatedPerfusion

    @property
    def images(self) -> Case:
        """The images by role, as the service would read them."""
        study = self.study
        found = {
            "ctp": InputImage(study.dynamic.mean, dynamic=study.dynamic),
            "ncct": InputImage(study.ncct),
        }
        return found if study.cta is None else found | {"cta": InputImage(study.cta)}

    @property
    def volumes_ml(self) -> dict[str, float]:
        """True volumes within the slab."""
        truth = self.study.truth
        voxel_ml = self.study.dynamic.still(truth.cbf).voxel_ml[:, None, None]
        masks = {
            "core": truth.core,
            "penumbra": truth.penumbra,
            "final_infarct": truth.final_infarct,
        }
        return {name: float((mask * voxel_ml).sum()) for name, mask in masks.items()}


@dataclass(frozen=True)
class Patients:
    """One head with its vessels and territories, and the lesions it may get."""

    anatomy: Anatomy
    lesions: LesionBank
    territory: NDArray[np.uint8]
    head: PerfusionHead

    @staticmethod
    def load(head: Path, cache: Path, data: Path) -> Patients:
        """Read one prepared head; a few seconds."""
        anatomy = Anatomy(load_head(head))
        return Patients(
            anatomy,
            load_bank(cache / "lesions_acute.npz"),
            territories_in(anatomy, read_territories(data)),
            perfusion_head(anatomy),
        )

    @cached_property
    def suitable(self) -> list[int]:
        """Lesions for this head: test heads get test lesions, other heads training lesions."""
        part: LesionPart = "test" if part_of(self.anatomy.head.name) == "test" else "train"
        return suitable_lesions(self.lesions, part)

    def simulate(self, number: int) -> SimulatedCase:
        """Case ``number`` of this head; the same number gives the same case anywhere."""
        name = self.anatomy.head.name
        rng = np.random.default_rng(seed_of(name, number))
        stroke = self._stroke(rng)
        study = simulate_perfusion(self.head, training_protocol(rng), rng, stroke)
        return SimulatedCase(f"{name}_{number:04d}", name, stroke.lesion, study)

    def _stroke(self, rng: np.random.Generator) -> PerfusionStroke:
        """A lesion that lies in this head's brain, mirrored half the time, and how it came."""
        for _ in range(_TRIES):
            index = int(rng.choice(self.suitable))
            mirrored = bool(rng.random() < 0.5)
            infarct = lesion_in(self.anatomy, self.lesions, index, mirrored=mirrored)
            if infarct.sum() >= _LEAST_VOXELS and (self.territory[infarct] > 0).any():
                stroke = draw_stroke(self.head, infarct, self.territory, rng)
                return stroke.named(self.lesions.names[index])
        raise RuntimeError(f"No lesion of the bank lies in the brain of {self.anatomy.head.name}.")


def seed_of(head: str, number: int) -> int:
    """The seed of one case, from its name alone."""
    digest = hashlib.sha256(f"ctp/{head}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def head_paths(cache: Path, *parts: Any) -> list[Path]:
    """Prepared heads of some parts of the split."""
    return heads_of(cache / "heads", *parts)
