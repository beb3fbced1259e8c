"""Batches for the region network: prepared cases, augmented after ``prepare``, never before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from willis_models.manifest import IntensityTransform
from willis_models.pipelines.aspects.prepare import normalise
from willis_training.aspects.cases import TrainingCase, load_case
from willis_training.aspects.template import MIRRORED_LABEL
from willis_training.networks.unet import left_half

UNSTRIPPED_SHARE = 0.15
RAW_SHARE = 0.1

Sample = tuple[torch.Tensor, torch.Tensor]


class CasePool:
    """Prepared cases of some heads, held in memory; ``refresh`` takes in what was added on disk."""

    def __init__(self, folder: Path, heads: tuple[str, ...]) -> None:
        self._folder, self._heads = folder, heads
        self._cases: dict[str, TrainingCase] = {}
        self.refresh()

    def refresh(self) -> int:
        """Load new files; the number of cases now held."""
        for head in self._heads:
            for path in sorted(self._folder.glob(f"{head}_????.npz")):
                if path.stem not in self._cases:
                    self._cases[path.stem] = load_case(path)
        return len(self._cases)

    def draw(self, rng: np.random.Generator) -> TrainingCase:
        """A random case, every head equally likely."""
        head = rng.choice(sorted({case.head for case in self._cases.values()}))
        names = [name for name, case in self._cases.items() if case.head == head]
        return self._cases[str(rng.choice(names))]

    def __iter__(self) -> Iterator[TrainingCase]:
        return iter([self._cases[name] for name in sorted(self._cases)])


def service_input(case: TrainingCase, intensity: IntensityTransform) -> NDArray[np.float32]:
    """Exactly what ``prepare`` gave: stripped, registered, normalised (z, y, x)."""
    return normalise(np.where(case.brain, case.hu, 0).astype(np.float32), intensity)


def draw_sample(
    case: TrainingCase,
    intensity: IntensityTransform,
    rng: np.random.Generator,
    device: str = "cpu",
) -> Sample:
    """One hemisphere, augmented on ``device``: image (1, z, y, x) and labels 0-10 (z, y, x).

    Raw, unstripped or as in the service; the right hemisphere is drawn as a mirrored left one.
    """
    draw = rng.random()
    if draw < RAW_SHARE and case.raw_hu is not None and case.raw_regions is not None:
        image, labels = normalise(case.raw_hu.astype(np.float32), intensity), case.raw_regions
    elif draw < RAW_SHARE + UNSTRIPPED_SHARE:
        image, labels = normalise(case.hu.astype(np.float32), intensity), case.regions
    else:
        image, labels = service_input(case, intensity), case.regions
    if rng.random() < 0.5:
        image, labels = image[..., ::-1], MIRRORED_LABEL[labels[..., ::-1]]
    x = torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)
    y = torch.from_numpy(np.ascontiguousarray(labels)).to(device).float()[None, None]
    x, y = _deform(x, y, rng)
    image_half, labels_half = left_half(_recolour(x, rng)[0]), left_half(y[0, 0].long())
    return image_half, torch.where(labels_half > 10, 0, labels_half)


def _deform(x: torch.Tensor, y: torch.Tensor, rng: np.random.Generator) -> Sample:
    """Small affine misplacement and a smooth warp, as registration leaves them."""
    shape = x.shape[2:]
    linear = np.eye(3) + rng.normal(0.0, 0.025, (3, 3))
    shift = rng.normal(0.0, 0.025, (3, 1))
    theta = torch.tensor(np.hstack([linear, shift]), dtype=torch.float32)[None]
    where = torch.nn.functional.affine_grid(theta.to(x.device), [1, 1, *shape], align_corners=False)
    coarse = torch.tensor(rng.normal(0.0, 0.022, (1, 3, 5, 6, 5)), dtype=torch.float32)
    coarse = coarse.to(x.device)
    warp = torch.nn.functional.interpolate(coarse, shape, mode="trilinear", align_corners=True)
    where = where + warp.permute(0, 2, 3, 4, 1)
    sample = torch.nn.functional.grid_sample
    return (
        sample(x, where, mode="bilinear", align_corners=False),
        sample(y, where, mode="nearest", align_corners=False),
    )


def _recolour(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Another scanner's contrast, offset and noise; zero stays zero outside the brain."""
    inside = (x > 0).float()
    changed = x * float(rng.uniform(0.85, 1.15)) + float(rng.normal(0.0, 0.03))
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(x.shape, dtype=np.float32))
        changed = changed + float(rng.uniform(0.0, 0.03)) * noise.to(x.device)
    return (changed * inside).clamp(0.0, 1.0)
