"""What the commands print: tables on standard output, progress and errors on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed
from rich.table import Table

from willis_models.codes import SIDES
from willis_models.findings import Findings, SegmentFinding, SideScore
from willis_service.commands.console_perfusion import print_perfusion

STEPS = ("load", "read", "check", "prepare", "predict", "interpret", "write")
_STEP_TITLES = {
    "waiting": "Waiting until the study is complete",
    "load": "Loading the model",
    "read": "Reading the images",
    "check": "Checking the images",
    "prepare": "Finding the brain and registering it",
    "prepare: motion": "Looking for motion of the head",
    "prepare: noise": "Smoothing to a known noise",
    "prepare: vessels": "Finding artery and vein",
    "prepare: deconvolution": "Deconvolving: the perfusion maps",
    "prepare: align": "Laying the other scans on the perfusion scan",
    "prepare: sample": "Making the network's input",
    "predict": "Running the network",
    "interpret": "Measuring the regions",
    "write": "Writing and checking the results",
}
_STYLES = {"affected": "bold red", "indeterminate": "yellow", "not_assessable": "dim"}
_OUTCOME_STYLES = {"pass": "green", "warn": "yellow", "reject": "bold red"}


def out() -> Console:
    """The console for results."""
    console = Console(highlight=False)
    if not console.is_terminal:
        # In a file or a log, a path that is cut short is of no use.
        console.width = max(console.width, 140)
    return console


def err() -> Console:
    """The console for progress and errors."""
    return Console(stderr=True, highlight=False)


@contextmanager
def step_bar(steps: Sequence[str] = STEPS) -> Iterator[Callable[[str], None]]:
    """A progress bar over named steps; the callable is told each step as it starts."""
    with _bar() as bar:
        task = bar.add_task("Starting", total=len(steps))

        def start(step: str) -> None:
            whole = step.partition(": ")[0]
            done = steps.index(whole) if whole in steps else None
            bar.update(task, description=step_title(step), completed=done)

        yield start
        bar.update(task, description="Done", completed=len(steps))


@contextmanager
def count_bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar over a number of things; the callable is told how many are done."""
    with _bar() as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def step_title(step: str) -> str:
    """A step as a person reads it; ``prepare: motion`` is a step within another."""
    within = step.partition(": ")[2]
    return _STEP_TITLES.get(step) or (within or step).capitalize()


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        Elapsed(),
        console=err(),
        transient=True,
    )


def print_findings(findings: Findings) -> None:
    """Score, table of regions and quality items, or the reason why there are none."""
    console = out()
    if findings.rejection is not None:
        console.print(f"[bold red]Not analysed[/]: {findings.rejection.code}")
        console.print(findings.rejection.message, markup=False)
    for score in findings.scores:
        console.print(_score_line(score), style="bold")
    if findings.side_selection is not None:
        chosen = findings.side_selection
        console.print(f"Side: {chosen.side or 'none'} ({chosen.how})", markup=False)
    if findings.perfusion is not None:
        print_perfusion(console, findings)
    elif findings.segments:
        console.print(_region_table(findings))
    if findings.quality:
        console.print(_quality_table(findings))
    console.print(findings.intended_use, style="italic", markup=False, soft_wrap=True)


def print_files(files: Sequence[Path]) -> None:
    """Where the results lie, one a line and never cut short."""
    console = out()
    console.print("Results", style="bold")
    for path in files:
        console.print(f"  {path.name:<14} {path}", soft_wrap=True, markup=False)


def _score_line(score: SideScore) -> str:
    if score.score is None:
        return f"{score.side.capitalize()} side: not assessable"
    line = f"{score.side.capitalize()} side: {score.score}/10"
    if score.lowest != score.highest:
        line += f" (between {score.lowest} and {score.highest})"
    return line + (f", affected: {', '.join(score.affected)}" if score.affected else "")


def _region_table(findings: Findings) -> Table:
    headings = ("Region", "Left", "p", "HU", "Right", "p", "HU", "R - L HU")
    table = Table(*headings, title=f"{findings.pipeline} regions", title_justify="left")
    for name, sides in _by_region(findings).items():
        left, right = (sides.get(side) for side in SIDES)
        table.add_row(name, *_cells(left), *_cells(right), _difference(left, right))
    return table


def _by_region(findings: Findings) -> dict[str, dict[str, SegmentFinding]]:
    regions: dict[str, dict[str, SegmentFinding]] = {}
    for segment in findings.segments:
        side = segment.laterality or "left"
        regions.setdefault(segment.key.removeprefix(f"{side}_"), {})[side] = segment
    return regions


def _cells(segment: SegmentFinding | None) -> tuple[str, str, str]:
    if segment is None:
        return "", "", ""
    state = segment.state or ""
    style = _STYLES.get(state, "")
    words = state.replace("_", " ")
    shown = f"[{style}]{words}[/]" if style else words
    return shown, _number(segment.value("probability"), 2), _number(segment.value("mean_hu"), 1)


def _difference(left: SegmentFinding | None, right: SegmentFinding | None) -> str:
    values = [side.value("mean_hu") if side else None for side in (right, left)]
    if values[0] is None or values[1] is None:
        return ""
    return f"{values[0] - values[1]:+.1f}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _quality_table(findings: Findings) -> Table:
    headings = ("Check", "Outcome", "What it says", "Measured")
    table = Table(*headings, title="Quality", title_justify="left")
    for item in findings.quality:
        outcome = f"[{_OUTCOME_STYLES[item.outcome]}]{item.outcome}[/]"
        table.add_row(item.code, outcome, item.message, item.measured)
    return table
