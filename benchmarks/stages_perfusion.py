"""A whole CT perfusion study from the last instance received to results stored, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.memory import in_fresh_process
from benchmarks.page import Section
from benchmarks.places import Places
from benchmarks.service import QUIET_S
from benchmarks.stages import Study, table_of, through_service, walk
from willis_training.simulation.ctp import study as simulated

TITLE = "Stage by stage: CT perfusion"
PIPELINE = "infarct"
SIZE, SLICES, TIMES = 512, 16, 45
GOAL_S, GOAL_GB = 60.0, 4.0
_INTRODUCTION = f"""
A simulated study of {SLICES} slices of {SIZE} x {SIZE} at {TIMES} time points, with its plain
CT and CT angiography, measured as above. "prepare" parts into the steps that follow it. The last
row is the same study through `willis serve`, less the quiet period of {QUIET_S:.0f} s; there the
ASPECTS analysis of the plain CT is run before it by the same worker. The aim is {GOAL_S:.0f} s and
{GOAL_GB:.0f} GB on two cores.
"""


def measure(places: Places) -> Section:
    """One study, in a fresh process and through the service."""
    files = perfusion_study(places)
    study = Study(f"{SIZE} x {SIZE} x {SLICES} x {TIMES}, simulated", files)
    steps = in_fresh_process(walk, files, PIPELINE)
    whole = through_service(files, PIPELINE)
    return Section(TITLE, _INTRODUCTION, [table_of([study], [steps], [whole])])


def perfusion_study(places: Places) -> Sequence[Path]:
    """The study, made once."""
    folder = places.work / f"ctp{SIZE}"
    if not (folder / simulated.TRUTH).is_file():
        simulated.main(["--out", str(folder), "--size", str(SIZE)])
    return sorted(folder.rglob("*.dcm"))
