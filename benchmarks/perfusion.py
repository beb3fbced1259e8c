"""CT perfusion: a raw series of usual size to five maps, and the same voxel by voxel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.memory import Meter, Step, in_fresh_process
from benchmarks.page import Section, Table, seconds
from benchmarks.perfusion_naive import maps_voxel_by_voxel
from benchmarks.places import Places
from willis_models.perfusion.binning import Smoother, bin_series, bounding_box
from willis_models.perfusion.curves import enhancement_of
from willis_models.perfusion.maps import MAP_NAMES, compute_maps
from willis_models.perfusion.measure import measure as measure_series
from willis_models.perfusion.numbers import numbers_of
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import DynamicStack

TITLE = "CT perfusion"
GOAL_S, GOAL_TIMES = 5.0, 20.0
MATRIX, SEED = 512, 1
NAIVE_VOXELS = 20_000
_MOVED_MM = 4.0
_PARTS = ("frames", "times_s", "origins_lps", "row_step_lps", "column_step_lps")

_INTRODUCTION = f"""
A simulated series of 45 frames of 16 slices of {MATRIX} x {MATRIX} (int16, in memory) to CBF, CBV,
MTT, Tmax and TTP on its own pixels, masks, vessels and figures of quality included; each column in
a fresh process, on every core. The first column is a head that lies still: the frames are compared
and none is resampled. In the second the head lies in three places, and most frames are. The aim is
{GOAL_S:.0f} s on two cores. Below, the step from smoothed curves to maps against the same done
voxel by voxel with a decomposition computed once (`benchmarks/perfusion_naive.py`), both on the
same curves with the same artery and in one run; the aim is {GOAL_TIMES:.0f} times.
"""


@dataclass(frozen=True)
class Pace:
    """Seconds for as many voxels, and how far their CBF lies apart (median, as a share)."""

    voxels: int
    ours_s: float
    naive_s: float
    median_difference: float

    @property
    def times_faster(self) -> float:
        """By voxel."""
        return self.naive_s / self.ours_s


def measure(places: Places) -> Section:
    """Both series stage by stage, then the comparison."""
    path = _series(places)
    still = in_fresh_process(stages, path, 0.0)
    moving = in_fresh_process(stages, path, _MOVED_MM)
    pace = in_fresh_process(compare, path)
    return Section(TITLE, _INTRODUCTION, [_stage_table(still, moving), _pace_table(pace)])


def _series(places: Places) -> Path:
    """The simulated series, made once: a minute and 380 MB."""
    path = places.work / f"ctp_{MATRIX}_{SEED}.npz"
    if not path.is_file():
        from willis_training.simulation.ctp.study import find_phantom, make_study

        dynamic = make_study(find_phantom(), MATRIX, SEED).dynamic
        making = path.with_name("ctp.making.npz")
        np.savez(making, **{part: getattr(dynamic, part) for part in _PARTS})
        making.rename(path)
    return path


def load_series(path: Path) -> DynamicStack:
    """As it was stored."""
    with np.load(path) as stored:
        return DynamicStack(*(stored[part] for part in _PARTS))


def stages(path: Path, moved_mm: float) -> list[Step]:
    """Every step of one series, in this process; the last row holds the whole."""
    dynamic = load_series(path)
    if moved_mm:
        dynamic = _moved(dynamic, moved_mm)
    measure_series(_small(dynamic), DEFAULTS)  # libraries start their threads before the clock
    meter = Meter()
    meter.begin("start")
    begun = time.perf_counter()
    found = measure_series(dynamic, DEFAULTS, progress=meter.begin)
    whole_s = time.perf_counter() - begun
    meter.begin("numbers")
    numbers_of(found.maps, found.tissue, found.still, DEFAULTS.numbers)
    meter.end()
    steps = meter.steps[1:]
    return [*steps, Step("five maps", whole_s, max(step.peak_mb for step in steps))]


def _small(dynamic: DynamicStack) -> DynamicStack:
    few = slice(6, 9)
    return DynamicStack(
        dynamic.frames[:, few, ::4, ::4],
        dynamic.times_s[:, few],
        dynamic.origins_lps[few],
        dynamic.row_step_lps * 4,
        dynamic.column_step_lps * 4,
    )


def _moved(dynamic: DynamicStack, shift_mm: float) -> DynamicStack:
    """From a third of the frames on the head lies to the side, from two thirds on further."""
    pixels = round(shift_mm / float(np.linalg.norm(dynamic.row_step_lps)))
    frames = dynamic.frames.copy()
    third = len(frames) // 3
    for place in (1, 2):
        part = slice(place * third, (place + 1) * third)
        frames[part] = np.roll(frames[part], place * pixels, axis=3)
    return DynamicStack(
        frames,
        dynamic.times_s,
        dynamic.origins_lps,
        dynamic.row_step_lps,
        dynamic.column_step_lps,
    )


def compare(path: Path) -> Pace:
    """The step from smoothed curves to maps, both ways; ours smooths within its time."""
    dynamic = load_series(path)
    found = measure_series(dynamic, DEFAULTS)
    series = bin_series(dynamic, DEFAULTS.noise.bin_below_mm)
    del dynamic
    tissue = found.tissue[:, :: series.factor, :: series.factor]
    enhancement = enhancement_of(
        series,
        found.brain[:, :: series.factor, :: series.factor],
        DEFAULTS.deconvolution.step_s,
        found.noise.before_hu,
        DEFAULTS.vessels,
    )
    plain = DEFAULTS.deconvolution.model_copy(update={"tail_s": 0.0})
    begun = time.perf_counter()
    maps = compute_maps(enhancement, found.aif.hu, tissue, found.noise.smoothing_mm, plain)
    ours_s = time.perf_counter() - begun
    z = int(tissue.sum(axis=(1, 2)).argmax())
    rows, columns = bounding_box(tissue[z])
    inside = tissue[z, rows, columns]
    smoother = Smoother.within(inside, found.noise.smoothing_mm, series.pixel_mm)
    curves = smoother(series.frames[:, z, rows, columns])[:, inside][:, :NAIVE_VOXELS]
    begun = time.perf_counter()
    naive = maps_voxel_by_voxel(
        curves,
        series.times_s[:, z],
        found.aif.hu,
        enhancement.axis.times_s,
        enhancement.arrival_s,
        plain,
    )
    naive_s = time.perf_counter() - begun
    voxels = int(tissue.sum())
    cbf = maps.cbf[z, rows, columns][inside][: len(naive)] if maps.cbf is not None else naive[:, 0]
    difference = float(np.median(np.abs(cbf - naive[:, 0])) / np.median(cbf))
    return Pace(voxels, ours_s, naive_s * voxels / len(naive), difference)


def _stage_table(still: list[Step], moving: list[Step]) -> Table:
    rows = [
        [a.name, seconds(a.seconds), f"{a.peak_mb:.0f}", seconds(b.seconds), f"{b.peak_mb:.0f}"]
        for a, b in zip(still, moving, strict=True)
    ]
    rows[-1][0] = f"**{rows[-1][0]}**"
    columns = ["step", "lies still: s", "peak MB", "moves: s", "peak MB"]
    return Table(columns, rows)


def _pace_table(pace: Pace) -> Table:
    row = [
        f"{pace.voxels}",
        seconds(pace.ours_s),
        seconds(pace.naive_s),
        f"{pace.times_faster:.0f}",
        f"{pace.median_difference:.1%}",
    ]
    columns = ["voxels of tissue", "ours s", "voxel by voxel s", "times faster", "median dCBF"]
    title = f"{len(MAP_NAMES)} maps, voxel by voxel timed on {NAIVE_VOXELS} of them"
    return Table(columns, [row], title)
