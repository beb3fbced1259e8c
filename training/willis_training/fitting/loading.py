"""Which samples a process reads for which step, and how they reach it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import DataLoader, Dataset

from willis_training.fitting.config import RunConfig
from willis_training.fitting.lesson import Batch, Lesson, Sample, collate


@dataclass(frozen=True)
class Shares:
    """How the samples of a step are dealt to processes, and there to passes of a few at once."""

    batch: int
    at_once: int
    rank: int
    processes: int

    @property
    def passes(self) -> int:
        """Forward and backward passes of a process in one step."""
        return self.batch // (self.at_once * self.processes)

    def numbers(self, step: int) -> list[list[int]]:
        """Numbers of this process's samples in ``step``, a list for each pass.

        All processes together read the same numbers, however many they are.
        """
        share = self.batch // self.processes
        first = step * self.batch + self.rank * share
        return [
            list(range(first + n * self.at_once, first + (n + 1) * self.at_once))
            for n in range(self.passes)
        ]


def shares_of(config: RunConfig, rank: int, processes: int) -> Shares:
    """Raises ValueError where a step's samples can't be dealt evenly."""
    at_once = config.at_once or config.batch // processes
    if not at_once or config.batch % (at_once * processes):
        raise ValueError(
            f"batch {config.batch} can't be dealt to {processes} processes with "
            f"{at_once or 'some'} at once; set batch to a multiple of {processes * (at_once or 1)}."
        )
    return Shares(config.batch, at_once, rank, processes)


class _Numbered(Dataset[Sample]):
    def __init__(self, lesson: Lesson) -> None:
        self._lesson = lesson

    def __getitem__(self, number: int) -> Sample:
        return self._lesson.sample(number)


@dataclass(frozen=True)
class _Numbers:
    """Batches of numbers from a step on, pass by pass."""

    shares: Shares
    first_step: int
    steps: int

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            yield from self.shares.numbers(step)

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.shares.passes


def batches(
    lesson: Lesson, config: RunConfig, shares: Shares, first_step: int, pinned: bool
) -> Iterator[Batch]:
    """This process's batches on the CPU, from ``first_step`` to the last step."""
    loader = DataLoader(
        _Numbered(lesson),
        batch_sampler=_Numbers(shares, first_step, config.iterations),
        num_workers=config.hardware.workers,
        collate_fn=collate,
        pin_memory=pinned,
        persistent_workers=False,
    )
    return iter(loader)
