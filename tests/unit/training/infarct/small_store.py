"""A store of tiny cases in the network's channels: an infarct where Tmax is high."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis_models.pipelines.infarct.prepare import channel_count
from willis_training.fitting.samples import INDEX, CaseStore, PreparedCase, StoreIndex, write_case
from willis_training.infarct.contract import draft_manifest

SHAPE = (8, 16, 16)
SPACING_MM = (4.0, 2.5, 2.5)
TMAX = 3


def case(seed: int) -> PreparedCase:
    """Late blood in a box that becomes infarct; every input there."""
    rng = np.random.default_rng(seed)
    manifest = draft_manifest()
    image = rng.uniform(0.2, 0.4, (channel_count(manifest), *SHAPE)).astype(np.float32)
    image[len(manifest.inputs) :] = 1.0
    labels = np.zeros(SHAPE, np.uint8)
    z, y, x = (int(rng.integers(1, n // 2)) for n in SHAPE)
    labels[z : z + 3, y : y + 6, x : x + 6] = 1
    image[TMAX] += 0.5 * labels
    return PreparedCase(image, labels, SPACING_MM)


def write_store(folder: Path, names: tuple[str, ...]) -> CaseStore:
    folder.mkdir(parents=True)
    entries = {
        name: write_case(case(seed), name, folder, key=name) for seed, name in enumerate(names)
    }
    index = StoreIndex(label_names={0: "background", 1: "final infarct"}, cases=entries)
    (folder / INDEX).write_text(index.model_dump_json())
    return CaseStore(folder)
