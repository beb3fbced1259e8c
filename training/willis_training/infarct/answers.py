"""What a finished run says of prepared cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from willis_training.export.run import load_run
from willis_training.fitting.samples import CaseStore
from willis_training.infarct.contract import manifest_parts

TISSUE_CHANNEL = len(manifest_parts()["inputs"])
"""The mask of the tissue follows the images."""


@dataclass(frozen=True)
class Answered:
    """A case: the network's probability of infarct, the truth, and what is tissue, (z, y, x)."""

    name: str
    probability: NDArray[np.float32]
    truth: NDArray[np.bool_]
    tissue: NDArray[np.bool_]
    voxel_ml: float


def answers_of(run: Path, store: CaseStore, cases: Iterable[str]) -> Iterator[Answered]:
    """What the run's best weights say, one case after the other.

    Raises FileNotFoundError where the folder is no finished run.
    """
    _, network = load_run(run)
    for name in cases:
        case = store.read(name)
        with torch.inference_mode():
            classes = network(torch.from_numpy(case.image)[None])
        yield Answered(
            name=name,
            probability=np.asarray(classes[0, 1].float().numpy()),
            truth=case.labels > 0,
            tissue=case.image[TISSUE_CHANNEL] > 0,
            voxel_ml=float(np.prod(case.spacing_mm)) / 1000.0,
        )
