"""Rigid alignment of a moving CT perfusion series: ours against SimpleITK's registration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from benchmarks.memory import in_fresh_process
from benchmarks.page import Section, Table
from benchmarks.places import Places
from willis_models.perfusion.binning import bin_series
from willis_models.perfusion.motion import Alignment, CoarseBone
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array, Floats
from willis_training.simulation.ctp.perfusion import simulate_perfusion
from willis_training.simulation.ctp.phantom import load_phantom
from willis_training.simulation.ctp.protocol import Pose, native_protocol
from willis_training.simulation.ctp.study import find_phantom

TITLE = "CT perfusion: alignment of a moving head"
MATRIX, JERKS, SEEDS, FRAMES, THREADS = 256, 3, (1, 2, 3), 45, 2
RADIUS_MM = DEFAULTS.motion.head_radius_mm
_BLUR_MM, _ITERATIONS = DEFAULTS.motion.coarse_mm, 60

_INTRODUCTION = f"""
The shipped head, {MATRIX} x {MATRIX} x 16 voxels, {JERKS} jerks of the head in each of {len(SEEDS)}
series. One frame of each position is aligned with the reference frame, on the same bone images of
2.5-mm pixels. Error: root mean square over a ball of {RADIUS_MM:.0f} mm about the head's centre,
and angle, against the position that was put in. SimpleITK: Euler3DTransform, regular step gradient
descent, {THREADS} threads; ours: one thread. Seconds are those of {FRAMES} such frames.
"""

Aligner = Callable[[CoarseBone, int, Sequence[int]], list[Floats]]


def measure(places: Places) -> Section:
    """One row for each way of alignment."""
    rows = []
    for name in ALIGNERS:
        found = np.array([row for seed in SEEDS for row in in_fresh_process(errors_of, name, seed)])
        cells = (f"{f(found[:, c]):.2f}" for c in (0, 1) for f in (np.median, np.max))
        rows.append([name, f"{FRAMES * found[:, 2].mean():.1f}", *cells])
    columns = ["", "s a series", "mm, median", "mm, most", "degrees, median", "degrees, most"]
    return Section(TITLE, _INTRODUCTION, [Table(columns, rows)])


def errors_of(name: str, seed: int) -> list[tuple[float, float, float]]:
    """(mm, degrees, seconds) of one frame of each position."""
    head, stroke = load_phantom(find_phantom())
    draw = np.random.default_rng(seed)
    protocol = native_protocol(draw, MATRIX)
    level = replace(protocol.scanner, tilt_deg=0.0, pitch_deg=0.0, roll_deg=0.0, yaw_deg=0.0)
    protocol = replace(protocol, scanner=level, jerks=JERKS)
    study = simulate_perfusion(head, protocol, draw, stroke, angiography=False)
    bone = CoarseBone.of(bin_series(study.dynamic, DEFAULTS.noise.bin_below_mm), DEFAULTS.motion)
    held, centre = study.motion.of_frame, head.centre_lps
    reference = bone.reference()
    others = sorted(set(held.tolist()) - {int(held[reference])})
    frames = [int(np.flatnonzero(held == position)[0]) for position in others]
    begun = time.perf_counter()
    found = ALIGNERS[name](bone, reference, frames)
    each_s = (time.perf_counter() - begun) / len(frames)
    rest = [_at_rest(pose, centre) for pose in study.motion.poses]
    true = [np.linalg.inv(rest[position]) @ rest[int(held[reference])] for position in others]
    return [(*_error(a, b, centre), each_s) for a, b in zip(found, true, strict=True)]


def _at_rest(pose: Pose, centre_lps: Floats) -> Floats:
    """(4, 4): from where a point of the head lies to where it lay at rest."""
    moved = pose.undone(np.vstack([np.zeros(3), np.eye(3)]), centre_lps)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = (moved[1:] - moved[0]).T, moved[0]
    return matrix


def _error(found: Floats, true: Floats, centre_lps: Floats) -> tuple[float, float]:
    left = np.linalg.inv(true) @ found - np.eye(4)
    shift = left[:3, :3] @ centre_lps + left[:3, 3]
    turn = RADIUS_MM**2 / 5 * float(np.trace(left[:3, :3].T @ left[:3, :3]))
    cosine = (float(np.trace(left[:3, :3])) + 2.0) / 2.0
    angle = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
    return float(np.sqrt(turn + shift @ shift)), angle


def _ours(bone: CoarseBone, reference: int, frames: Sequence[int]) -> list[Floats]:
    model = Alignment(bone.images[reference], bone.affine_lps, DEFAULTS.motion)
    return [model.pose_of(bone.images[t]).matrix(model.centre_lps) for t in frames]


def _by_simpleitk(metric: str, levels: Sequence[int]) -> Aligner:
    def align(bone: CoarseBone, reference: int, frames: Sequence[int]) -> list[Floats]:
        fixed = _image(bone.images[reference], bone.affine_lps)
        middle = (np.array(fixed.GetSize()) - 1) / 2
        centre = fixed.TransformContinuousIndexToPhysicalPoint(middle.tolist())
        method = _method(metric, levels)
        return [_register(method, fixed, bone, t, centre) for t in frames]

    return align


def _method(metric: str, levels: Sequence[int]) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    getattr(method, f"SetMetricAs{metric}")()
    method.SetNumberOfThreads(THREADS)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(list(levels))
    method.SetSmoothingSigmasPerLevel([_BLUR_MM if level > 1 else 0.0 for level in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, _ITERATIONS)
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _register(
    method: sitk.ImageRegistrationMethod,
    fixed: sitk.Image,
    bone: CoarseBone,
    frame: int,
    centre: tuple[float, ...],
) -> Floats:
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter(centre)
    method.SetInitialTransform(rigid, inPlace=True)
    method.Execute(fixed, _image(bone.images[frame], bone.affine_lps))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rigid.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = rigid.TransformPoint((0.0, 0.0, 0.0))
    return matrix


def _image(voxels: Array, affine_lps: Floats) -> sitk.Image:
    spacing = np.linalg.norm(affine_lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine_lps[:3, 2::-1] / spacing[::-1]).ravel().tolist())
    image.SetOrigin(affine_lps[:3, 3].tolist())
    return image


ALIGNERS: dict[str, Aligner] = {
    "ours (Gauss-Newton)": _ours,
    "SimpleITK, mean squares, one level": _by_simpleitk("MeanSquares", (1,)),
    "SimpleITK, mean squares, two levels": _by_simpleitk("MeanSquares", (2, 1)),
    "SimpleITK, correlation, two levels": _by_simpleitk("Correlation", (2, 1)),
}
