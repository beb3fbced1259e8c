"""The whole analysis against label transfer by SyN, on the same simulated test cases."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import in_fresh_process
from benchmarks.page import Section, Table, seconds
from benchmarks.places import NotHere, Places
from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.base import InputImage, analyse
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_models.runtime.session import open_predictor
from willis_training.aspects.cases import Lesions, draw_scan
from willis_training.aspects.evaluate import region_dice
from willis_training.curation.heads import load_head
from willis_training.datasets.head_split import heads_of
from willis_training.simulation.anatomy import Anatomy
from willis_training.simulation.ncct import SimulatedScan

TITLE = "Against label transfer by SyN"
CASES = 2
FIRST_NUMBER = 9000
"""Case numbers that neither training nor evaluation uses."""
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Outcome:
    seconds: float
    dice: list[float]


def measure(places: Places) -> Section:
    """Time and Dice of both on each case."""
    if not places.has_heads:
        raise NotHere(
            f"No prepared heads in {places.cache}: run willis_training.curation.heads and "
            "willis_training.datasets.lesions."
        )
    methods = (time_analysis, time_syn)
    found = [[in_fresh_process(m, places, n) for m in methods] for n in range(CASES)]
    return Section(TITLE, _INTRODUCTION, [_table(found)])


_INTRODUCTION = f"""
{CASES} simulated scans of test heads with test lesions. Ours: the whole `analyse()` (checks, brain,
registration, network, region states, labels on the native slices). SyN: brain extraction,
resampling to 1 mm, antspyx SyN (its defaults: 40, 20 and 0 iterations, the finest level is not
iterated) from the bundle's own template, labels carried to the native slices, and nothing else.
Dice: mean of the 20 regions against the truth. Both on every core; neither reads DICOM.
"""


def case_of(places: Places, number: int) -> SimulatedScan:
    """The benchmark's case of a number; each is another test head."""
    heads = heads_of(places.cache / "heads", "test")
    anatomy = Anatomy(load_head(heads[number % len(heads)]))
    return draw_scan(anatomy, Lesions.load(places.cache), FIRST_NUMBER + number)


def time_analysis(places: Places, number: int) -> _Outcome:
    """The service's own analysis, model loaded."""
    predictor = open_predictor(latest_bundle("aspects"))

    def run(scan: SimulatedScan, bundle: Bundle) -> Labels:
        case = {"ncct": InputImage(scan.stack)}
        analysis = analyse(ASPECTS, case, bundle.manifest, bundle.assets, predictor)
        if analysis.labels is None:
            raise RuntimeError(f"The case was rejected: {analysis.findings.rejection}")
        return analysis.labels

    return _timed(run, places, number)


def time_syn(places: Places, number: int) -> _Outcome:
    """Label transfer by SyN at 1 mm."""
    from willis_training.aspects.syn_baseline import syn_atlas

    return _timed(syn_atlas, places, number)


def _timed(run: Callable[[SimulatedScan, Bundle], Labels], places: Places, number: int) -> _Outcome:
    scan, bundle = case_of(places, number), latest_bundle("aspects")
    dict(bundle.assets)  # read from disk before the clock starts
    start = time.perf_counter()
    labels = run(scan, bundle)
    elapsed = time.perf_counter() - start
    return _Outcome(elapsed, region_dice(labels, scan.regions))


def _table(found: list[list[_Outcome]]) -> Table:
    columns = ["case", "ours s", "SyN s", "times faster", "ours Dice", "SyN Dice"]
    rows = [_row(f"{n + 1}", *outcomes) for n, outcomes in enumerate(found)]
    mean = [_mean([pair[m] for pair in found]) for m in range(2)]
    return Table(columns, [*rows, _row("**mean**", *mean)])


def _row(name: str, ours: _Outcome, syn: _Outcome) -> list[str]:
    ratio = f"{syn.seconds / ours.seconds:.1f}"
    dice = [f"{np.mean(one.dice):.3f}" for one in (ours, syn)]
    return [name, seconds(ours.seconds), seconds(syn.seconds), ratio, *dice]


def _mean(outcomes: list[_Outcome]) -> _Outcome:
    return _Outcome(
        float(np.mean([one.seconds for one in outcomes])),
        [float(np.mean([one.dice for one in outcomes]))],
    )
