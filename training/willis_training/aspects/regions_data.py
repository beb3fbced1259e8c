"""What the region network is taught: simulated heads, a hemisphere at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from willis_models.manifest import IntensityTransform
from willis_models.pipelines.aspects.prepare import normalise
from willis_training.aspects import recipe
from willis_training.aspects.cases import TrainingCase, load_case
from willis_training.aspects.template import MIRRORED_LABEL
from willis_training.fitting.augmentation import augment
from willis_training.fitting.config import RunConfig
from willis_training.fitting.lesson import Batch, Floats, Sample, ValidationCase
from willis_training.fitting.samples import digest_of_arrays, parameters_digest
from willis_training.fitting.streams import Stream, generator
from willis_training.networks.unet import BothSides, left_half

UNSTRIPPED_SHARE = 0.15
RAW_SHARE = 0.1
VALIDATION_CASES = 16
REGIONS = 10
LABEL_NAMES = {0: "background", **{entry["value"]: entry["key"] for entry in recipe.outputs()}}


class CasePool:
    """Prepared cases of some heads, held in memory."""

    def __init__(self, folder: Path, heads: tuple[str, ...]) -> None:
        self._folder, self._heads = folder, heads
        paths = [path for head in heads for path in sorted(folder.glob(f"{head}_????.npz"))]
        self._cases = {path.stem: load_case(path) for path in paths}
        self._of_head: dict[str, list[str]] = {}
        for name, case in self._cases.items():
            self._of_head.setdefault(case.head, []).append(name)

    def __reduce__(self) -> tuple[type[CasePool], tuple[Path, tuple[str, ...]]]:
        """Another process reads the cases itself."""
        return CasePool, (self._folder, self._heads)

    @cached_property
    def digest(self) -> str:
        """Of the contents of all cases."""
        contents = {
            name: digest_of_arrays(
                [case.hu, case.brain, case.regions, case.raw_hu, case.raw_regions]
            )
            for name, case in self._cases.items()
        }
        return parameters_digest(contents)

    def draw(self, rng: np.random.Generator) -> TrainingCase:
        """A random case, every head equally likely."""
        head = str(rng.choice(sorted(self._of_head)))
        return self._cases[str(rng.choice(self._of_head[head]))]

    def named(self) -> Iterator[tuple[str, TrainingCase]]:
        """Names and cases, in the order of the names."""
        return iter(sorted(self._cases.items()))

    def __iter__(self) -> Iterator[TrainingCase]:
        return iter([case for _, case in self.named()])

    def __len__(self) -> int:
        return len(self._cases)


@dataclass(frozen=True)
class RegionLesson:
    """Heads as ``prepare`` gives them, as raw or as unstripped ones; judged as the service runs.

    Augmentation comes after ``prepare``, never before.
    """

    training: CasePool
    chosen_by: CasePool
    intensity: IntensityTransform
    config: RunConfig

    @property
    def digest(self) -> str:
        """Of all cases and of what the images are scaled by."""
        return parameters_digest(
            {
                "training": self.training.digest,
                "validation": self.chosen_by.digest,
                "intensity": self.intensity.model_dump(),
            }
        )

    @property
    def label_names(self) -> Mapping[int, str]:
        """Ten regions a side."""
        return LABEL_NAMES

    def sample(self, number: int) -> Sample:
        """A whole head; half of them mirrored, so that the right hemisphere teaches as a left."""
        rng = generator(self.config.seed, Stream.PLACE, number)
        image, labels = self._view(self.training.draw(rng), rng)
        if rng.random() < 0.5:
            image, labels = image[..., ::-1], MIRRORED_LABEL[labels[..., ::-1]]
        labels = np.ascontiguousarray(labels)
        return Sample(number, np.ascontiguousarray(image)[None], labels, labels)

    def _view(
        self, case: TrainingCase, rng: np.random.Generator
    ) -> tuple[Floats, NDArray[np.uint8]]:
        """Raw, unstripped or as in the service."""
        draw = rng.random()
        if draw < RAW_SHARE and case.raw_hu is not None and case.raw_regions is not None:
            return normalise(case.raw_hu.astype(np.float32), self.intensity), case.raw_regions
        if draw < RAW_SHARE + UNSTRIPPED_SHARE:
            return normalise(case.hu.astype(np.float32), self.intensity), case.regions
        return service_input(case, self.intensity), case.regions

    def change(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Augmented heads, cut to the left hemisphere and its labels 0-10."""
        shape = batch.images.shape[2:]
        images, labels = augment(
            batch.images,
            batch.labels,
            batch.numbers,
            self.config.augmentation,
            shape,
            self.config.seed,
        )
        half = left_half(labels)
        return left_half(images), torch.where(half > REGIONS, 0, half)

    def validation(self, share: slice) -> Iterator[ValidationCase]:
        """The pool's first cases, exactly as the service would see them."""
        for name, case in list(self.chosen_by.named())[:VALIDATION_CASES][share]:
            image = service_input(case, self.intensity)[None]
            yield ValidationCase(name, image, case.regions, (recipe.GRID_SPACING_MM,) * 3)

    def probabilities(self, network: nn.Module, image: Floats) -> Floats:
        """Both hemispheres: background, ten left and ten right regions."""
        found: Floats = both_sides(network, image, self.config.hardware.precision).cpu().numpy()
        return found


def both_sides(
    network: nn.Module, image: NDArray[np.float32], precision: str = "bf16"
) -> torch.Tensor:
    """Class probabilities (21, z, y, x) of a prepared head (1, z, y, x), where the network lies."""
    device = next(network.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(image))[None].to(device)
    batch = batch.contiguous(memory_format=torch.channels_last_3d)
    with (
        torch.inference_mode(),
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"),
    ):
        probabilities: torch.Tensor = BothSides(network)(batch)[0].float()
    return probabilities


def service_input(case: TrainingCase, intensity: IntensityTransform) -> NDArray[np.float32]:
    """Exactly what ``prepare`` gave: stripped, registered, normalised (z, y, x)."""
    return normalise(np.where(case.brain, case.hu, 0).astype(np.float32), intensity)
