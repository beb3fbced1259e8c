"""Who hears of a run's progress: nobody, a function for lines, or a terminal with a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Listener(Protocol):
    """Hears of single events, and of every step."""

    def line(self, text: str) -> None:
        """Something worth a line of a log."""
        ...

    def step(self, done: int, total: int, loss: float) -> None:
        """One more optimiser step is done."""
        ...


@dataclass(frozen=True)
class Lines:
    """Passes lines on to a function."""

    report: Callable[[str], None] = lambda _text: None

    def line(self, text: str) -> None:
        """As it is."""
        self.report(text)

    def step(self, done: int, total: int, loss: float) -> None:
        """Not passed on."""


@dataclass(frozen=True)
class Bar:
    """Draws a bar on a terminal; lines are printed above it."""

    progress: Progress
    task: dict[str, int] = field(default_factory=dict)

    def line(self, text: str) -> None:
        """Above the bar."""
        self.progress.console.print(text, highlight=False)

    def step(self, done: int, total: int, loss: float) -> None:
        """Move the bar."""
        if not self.task:
            self.task["steps"] = int(self.progress.add_task("steps", total=total))
        text = f"loss {loss:.3f}"
        self.progress.update(self.progress.task_ids[0], completed=done, description=text)


@contextmanager
def bar_on(console: Console) -> Iterator[Listener]:
    """A bar on a terminal; only lines where the console is none."""
    if not console.is_terminal:
        yield Lines(lambda text: console.print(text, highlight=False, soft_wrap=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        yield Bar(progress)
