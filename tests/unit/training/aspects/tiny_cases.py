"""Prepared cases on a tiny grid, and lesion banks whose parts lie in different places."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis_models.manifest import IntensityTransform
from willis_training.aspects.cases import TrainingCase, save_case
from willis_training.datasets.lesions import LesionBank, split

SHAPE = (8, 16, 32)
INTENSITY = IntensityTransform(low=0.0, high=80.0)


def case(head: str = "head_01", seed: int = 0, raw: bool = False) -> TrainingCase:
    """Ten bands a side, brighter from front to back, with noise."""
    rng = np.random.default_rng(seed)
    regions = np.zeros(SHAPE, dtype=np.uint8)
    for n in range(10):
        z, y = 4 * (n // 5), 3 * (n % 5)
        regions[z : z + 4, y : y + 3, 18:30] = n + 1
    mirrored = regions[..., ::-1]
    regions = (regions + np.where(mirrored > 0, mirrored + 10, 0)).astype(np.uint8)
    hu = 20.0 + 2.0 * ((regions - 1) % 10) + rng.normal(0.0, 1.0, SHAPE)
    brain = np.zeros(SHAPE, dtype=bool)
    brain[..., 1:-1] = True
    return TrainingCase(
        head=head,
        hu=np.rint(np.where(brain, hu, -1000.0)).astype(np.int16),
        brain=brain,
        covered_grid=np.ones(SHAPE, dtype=bool),
        regions=regions,
        covered=np.linspace(0.0, 0.9, 20),
        drop_hu=4.5,
        raw_hu=np.full(SHAPE, 60, dtype=np.int16) if raw else None,
        raw_regions=regions if raw else None,
    )


def fill(folder: Path, heads: tuple[str, ...], count: int = 2) -> Path:
    """Write some cases of each head."""
    folder.mkdir(parents=True, exist_ok=True)
    for head in heads:
        for number in range(count):
            save_case(case(head, number), folder / f"{head}_{number:04d}.npz")
    return folder


def name_of(part: str, number: int = 0) -> str:
    """A lesion name that the split gives to a part."""
    return [name for n in range(200) if split(name := f"lesion_{n}") == part][number]


def bank() -> LesionBank:
    """One training lesion in the front of the left hemisphere, one test lesion in its back."""
    shape = (40, 50, 40)
    affine = np.array([[0, 0, 4.0, -78], [0, 4.0, 0, -98], [4.0, 0, 0, -78], [0, 0, 0, 1.0]])
    masks = np.zeros((2, *shape), dtype=bool)
    masks[0, :, :20, 21:] = True
    masks[1, :, 26:, 21:] = True
    fraction = np.zeros((2, 20), dtype=np.float32)
    fraction[:, 0] = 0.5
    return LesionBank(
        shape=shape,
        affine_lps=affine,
        packed=np.packbits(masks.reshape(2, -1), axis=1),
        names=(name_of("train"), name_of("test")),
        volume_ml=np.array([50.0, 50.0], dtype=np.float32),
        left_share=np.ones(2, dtype=np.float32),
        side=("left", "left"),
        region_fraction=fraction,
    )
