"""What a network is taught: numbered training samples, and cases that choose its best weights.

A sample is a function of the run's seed and its own number alone. So a run that resumes, or that
runs on other hardware, sees exactly the same samples in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from willis_training.fitting.augmentation import augment
from willis_training.fitting.config import RunConfig
from willis_training.fitting.painting import paint
from willis_training.fitting.prediction import predict
from willis_training.fitting.samples import CaseStore, PreparedCase, RememberedCases
from willis_training.fitting.streams import Stream, generator

Kind = TypeVar("Kind", bound=np.generic)
Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]


class Sample(NamedTuple):
    """One training sample: its number, image (c, z, y, x), labels and tissues (z, y, x)."""

    number: int
    image: Floats
    labels: Labels
    tissues: Labels


class Batch(NamedTuple):
    """Samples on the device: numbers, images (b, c, z, y, x), labels and tissues (b, z, y, x)."""

    numbers: tuple[int, ...]
    images: torch.Tensor
    labels: torch.Tensor
    tissues: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """The same samples on a device."""
        moved = (values.to(device, non_blocking=True) for values in self[1:])
        return Batch(self.numbers, *moved)


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples of one size as one batch."""
    images, labels, tissues = (
        torch.from_numpy(np.stack([sample[n] for sample in samples])) for n in (1, 2, 3)
    )
    return Batch(tuple(sample.number for sample in samples), images, labels, tissues)


class ValidationCase(NamedTuple):
    """A case that judges: its name, image (c, z, y, x), labels (z, y, x), voxel size (z, y, x)."""

    name: str
    image: Floats
    labels: Labels
    spacing_mm: tuple[float, float, float]


class Lesson(Protocol):
    """What the training loop needs to know of data. A value that can be sent to a process."""

    @property
    def digest(self) -> str:
        """Digest of all data that the run sees."""
        ...

    @property
    def label_names(self) -> Mapping[int, str]:
        """What the labels of validation mean, background (0) included."""
        ...

    def sample(self, number: int) -> Sample:
        """Training sample ``number``, read and cut, on the CPU."""
        ...

    def change(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Simulate and augment on the batch's device: images (b, c, z, y, x), labels (b, z, y, x).

        Labels are int64 and images float32, in the size that the network is trained on.
        """
        ...

    def validation(self, share: slice) -> Iterator[ValidationCase]:
        """Every case that chooses, or the share of them that one process judges."""
        ...

    def probabilities(self, network: nn.Module, image: Floats) -> Floats:
        """The trained network on a whole case: (classes, z, y, x)."""
        ...


@dataclass(frozen=True)
class StoredLesson:
    """Patches of the prepared cases of a store."""

    store: CaseStore | RememberedCases
    train: tuple[str, ...]
    chosen_by: tuple[str, ...]
    config: RunConfig

    @property
    def digest(self) -> str:
        """Of the contents of all cases that teach or choose."""
        return self.store.digest([*self.train, *self.chosen_by])

    @property
    def label_names(self) -> Mapping[int, str]:
        """As the store says; classes without a name get their number."""
        names = self.store.label_names
        return {n: names.get(n, str(n)) for n in range(self.config.network.classes)}

    def sample(self, number: int) -> Sample:
        """Every case once in each pass, in an order that the pass decides; then a place in it."""
        pass_number, position = divmod(number, len(self.train))
        order = generator(self.config.seed, Stream.ORDER, pass_number).permutation(len(self.train))
        case = self.store.read(self.train[order[position]])
        rng = generator(self.config.seed, Stream.PLACE, number)
        corner = _corner(case, self._read_shape, self.config.data.foreground_share, rng)
        tissues = case.labels if case.tissues is None else case.tissues
        image = np.stack([_cut(channel, corner, self._read_shape) for channel in case.image])
        labels, made_of = (
            _cut(values, corner, self._read_shape) for values in (case.labels, tissues)
        )
        return Sample(number, image, labels, made_of)

    @property
    def _read_shape(self) -> tuple[int, ...]:
        margin = self.config.data.margin
        return tuple(size + 2 * round(size * margin / 2) for size in self.config.network.patch)

    def change(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Painted where the configuration wants that, augmented, cut to the network's patch."""
        numbers, images, labels, tissues = batch
        config = self.config
        if config.painting is not None:
            images = paint(images, labels, tissues, numbers, config.painting, config.seed)
        patch = config.network.patch
        return augment(images, labels, numbers, config.augmentation, patch, config.seed)

    def validation(self, share: slice) -> Iterator[ValidationCase]:
        """In the order given."""
        for name in self.chosen_by[share]:
            case = self.store.read(name)
            yield ValidationCase(name, case.image, case.labels, case.spacing_mm)

    def probabilities(self, network: nn.Module, image: Floats) -> Floats:
        """Window by window, in the size of a training patch."""
        config = self.config
        return predict(
            network, image, config.network.patch, config.overlap, config.hardware.precision
        )


def _corner(
    case: PreparedCase, shape: Sequence[int], foreground_share: float, rng: np.random.Generator
) -> tuple[int, ...]:
    """First voxel of a patch: around a labelled voxel, or anywhere the patch fits.

    May lie outside the case where the case is smaller than the patch.
    """
    size = case.labels.shape
    wants_foreground = rng.random() < foreground_share
    labelled = np.flatnonzero(case.labels) if wants_foreground else ()
    if len(labelled):
        centre = np.unravel_index(int(rng.choice(labelled)), size)
        wanted = [
            int(c) - s // 2 + int(rng.integers(-s // 8, s // 8 + 1))
            for c, s in zip(centre, shape, strict=True)
        ]
    else:
        wanted = [int(rng.integers(0, max(n - s, 0) + 1)) for n, s in zip(size, shape, strict=True)]
    return tuple(
        min(max(first, 0), n - s) if n >= s else (n - s) // 2
        for first, n, s in zip(wanted, size, shape, strict=True)
    )


def _cut(values: NDArray[Kind], corner: Sequence[int], shape: Sequence[int]) -> NDArray[Kind]:
    """A box of ``values``; 0 where it reaches beyond them."""
    found = np.zeros(tuple(shape), dtype=values.dtype)
    inner = tuple(
        slice(max(c, 0), min(c + s, n)) for c, s, n in zip(corner, shape, values.shape, strict=True)
    )
    place = tuple(slice(i.start - c, i.stop - c) for i, c in zip(inner, corner, strict=True))
    found[place] = values[inner]
    return found
