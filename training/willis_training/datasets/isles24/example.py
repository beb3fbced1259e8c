"""A small tree in exactly the layout of ISLES'24, drawn: ellipsoids, not anatomy.

It lets every step run on a laptop, from reading to training. A network learns nothing about
patients from it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_training.datasets.isles24.layout import MAPS

Floats = NDArray[np.float32]
SHAPE_ZYX = (28, 64, 64)
SPACING_MM = (5.0, 3.2, 3.2)
FRAMES, STEP_S = 30, 2.0
_BRAIN_MM, _SKULL_MM, _SKIN_MM = (62.0, 82.0, 68.0), 6.0, 5.0
# Grey matter outside the lesion, penumbra, core: mL/100g/min, mL/100g, s, s.
_TISSUE: Mapping[str, tuple[float, float, float]] = {
    "cbf": (50.0, 18.0, 6.0),
    "cbv": (3.3, 3.0, 0.8),
    "mtt": (4.0, 10.0, 8.0),
    "tmax": (2.0, 8.0, 11.0),
}
_BASELINE = ("Center", "Age", "Sex", "NIHSS at admission", "Onset to door", "Door to imaging")
_OUTCOME = ("NIHSS 24h", "mRS 3 months", "TICI postinterventional")


@dataclass(frozen=True)
class DrawnCase:
    """Arrays (z, y, x) of one drawn case, x towards the patient's left, y posterior, z superior."""

    ncct: Floats
    brain: NDArray[np.bool_]
    core: NDArray[np.bool_]
    penumbra: NDArray[np.bool_]
    infarct: NDArray[np.bool_]
    maps: Mapping[str, Floats]


def write_example(root: Path, cases: int = 10, seed: int = 0, with_series: bool = True) -> Path:
    """Write ``root/train`` with so many cases; the same seed gives the same images.

    Two centres in turn, NIHSS rising with the infarct. Returns ``root/train``.
    """
    train = root / "train"
    for n in range(1, cases + 1):
        rng = np.random.default_rng((seed, n))
        write_case(train, f"sub-stroke{n:04d}", draw(rng), rng, 1 + n % 2, with_series)
    return train


def draw(rng: np.random.Generator) -> DrawnCase:
    """A head with a lesion in one hemisphere; the infarct is the core and part of the penumbra."""
    points = _points()
    brain = _ellipsoid(points, (0.0, 0.0, 0.0), _BRAIN_MM)
    side = rng.choice((-1.0, 1.0))
    centre = (rng.uniform(-10, 20), rng.uniform(-15, 15), side * rng.uniform(32, 42))
    radius = rng.uniform(14.0, 28.0)
    penumbra = brain & _ellipsoid(points, centre, (radius * 1.1, radius * 1.4, radius * 0.8))
    core = penumbra & _ellipsoid(points, centre, (radius * 0.7, radius * 0.8, radius * 0.5))
    lost = _ellipsoid(points, centre, tuple(radius * rng.uniform(0.6, 1.1, 3)))
    return DrawnCase(
        ncct=_ncct(points, brain, core, rng),
        brain=brain,
        core=core,
        penumbra=penumbra & ~core,
        infarct=core | (penumbra & lost),
        maps={name: _map(name, brain, penumbra, core, rng) for name in MAPS},
    )


def write_case(
    train: Path,
    case: str,
    drawn: DrawnCase,
    rng: np.random.Generator,
    centre: int,
    with_series: bool = True,
) -> None:
    """Write one case into raw_data, derivatives and phenotype."""
    raw, derived = train / "raw_data" / case, train / "derivatives" / case
    cta = np.where(_arteries(), 350.0, drawn.ncct + 4.0 * drawn.brain)
    save(raw / "ses-01" / f"{case}_ses-01_ncct.nii.gz", drawn.ncct.astype(np.int16))
    save(derived / "ses-01" / f"{case}_ses-01_space-ncct_cta.nii.gz", cta.astype(np.int16))
    for name, values in drawn.maps.items():
        folder = derived / "ses-01" / "perfusion-maps"
        save(folder / f"{case}_ses-01_space-ncct_{name}.nii.gz", values)
    if with_series:
        series = _series(drawn, rng)
        save(derived / "ses-01" / f"{case}_ses-01_space-ncct_ctp.nii.gz", series, STEP_S)
    lesion = drawn.infarct.astype(np.uint8)
    save(derived / "ses-02" / f"{case}_ses-02_space-ncct_lesion-msk.nii.gz", lesion)
    dwi = np.where(drawn.infarct, 900.0, 400.0) * drawn.brain
    save(raw / "ses-02" / f"{case}_ses-02_dwi.nii.gz", dwi.astype(np.int16))
    _write_tables(train / "phenotype" / case, case, drawn, rng, centre)


def save(
    path: Path,
    voxels: NDArray[np.generic],
    step_s: float | None = None,
    spacing_mm: tuple[float, float, float] = SPACING_MM,
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Path:
    """Write (z, y, x) or, with ``step_s``, (t, z, y, x) as NIfTI; (z, y, x) sizes and shift."""
    z, y, x = voxels.shape[-3:]
    size, shift = np.array(spacing_mm), np.array(shift_mm)
    first_lps = (shift - size * (np.array((z, y, x)) - 1) / 2)[::-1]
    affine = np.diag([-size[2], -size[1], size[0], 1.0])
    affine[:3, 3] = first_lps * (-1, -1, 1)
    image = nib.Nifti1Image(voxels.T, affine)
    if step_s is not None:
        image.header.set_zooms((size[2], size[1], size[0], step_s))
        image.header.set_xyzt_units("mm", "sec")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def _points() -> tuple[Floats, Floats, Floats]:
    """Positions (z, y, x) of the voxels in mm from the middle; y posterior, x patient left."""
    axes = [
        (np.arange(n, dtype=np.float32) - (n - 1) / 2) * mm
        for n, mm in zip(SHAPE_ZYX, SPACING_MM, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return z, y, x


def _ellipsoid(
    points: tuple[Floats, Floats, Floats], centre: tuple[float, ...], half: tuple[float, ...]
) -> NDArray[np.bool_]:
    parts = [((p - c) / h) ** 2 for p, c, h in zip(points, centre, half, strict=True)]
    total: Floats = parts[0] + parts[1] + parts[2]
    return total <= 1.0


def _ncct(
    points: tuple[Floats, Floats, Floats],
    brain: NDArray[np.bool_],
    core: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    origin = (0.0, 0.0, 0.0)
    skull = _ellipsoid(points, origin, tuple(half + _SKULL_MM for half in _BRAIN_MM))
    skin = _ellipsoid(points, origin, tuple(half + _SKULL_MM + _SKIN_MM for half in _BRAIN_MM))
    ventricle = _ellipsoid(points, origin, (12.0, 26.0, 9.0))
    tissue = ndimage.gaussian_filter(rng.normal(size=brain.shape), 2.0)
    hu = np.where(skin, 45.0, -1000.0)
    hu = np.where(skull, 1100.0, hu)
    hu = np.where(brain, 33.0 + 30.0 * tissue - 3.0 * core, hu)
    hu = np.where(ventricle, 6.0, hu) + rng.normal(0.0, 2.0, brain.shape)
    return hu.astype(np.float32)


def _map(
    name: str,
    brain: NDArray[np.bool_],
    penumbra: NDArray[np.bool_],
    core: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Floats:
    """A parametric map: 0 outside the brain, as in the release."""
    healthy, at_risk, lost = _TISSUE[name]
    values = np.where(core, lost, np.where(penumbra, at_risk, healthy))
    values = ndimage.gaussian_filter(values, (0.5, 1.0, 1.0)) * rng.normal(1.0, 0.12, brain.shape)
    return np.where(brain, np.maximum(values, 0.0), 0.0).astype(np.float32)


def _arteries() -> NDArray[np.bool_]:
    """Two middle cerebral arteries, drawn as rods."""
    z, y, x = _points()
    along = (np.abs(x) > 10.0) & (np.abs(x) < 35.0)
    return np.asarray(along & (np.abs(z + 20.0) < 4.0) & (np.abs(y + 5.0) < 3.5))


def _series(drawn: DrawnCase, rng: np.random.Generator) -> NDArray[np.int16]:
    """Frames (t, z, y, x) of a bolus: gamma-variate arteries, delayed and weaker tissue."""
    times = np.arange(FRAMES) * STEP_S
    height = np.where(drawn.core, 1.5, np.where(drawn.penumbra, 5.0, 8.0)) * drawn.brain
    delay = np.where(drawn.core, 8.0, np.where(drawn.penumbra, 5.0, 2.0)) + 10.0
    arteries = _arteries()
    height, delay = np.where(arteries, 220.0, height), np.where(arteries, 9.0, delay)
    frames = np.empty((FRAMES, *SHAPE_ZYX), dtype=np.int16)
    for n, time in enumerate(times):
        after = np.maximum(time - delay, 0.0) / 4.5
        curve = after**3 * np.exp(3.0 * (1.0 - after))
        noise = rng.normal(0.0, 2.0, SHAPE_ZYX)
        frames[n] = np.rint(drawn.ncct + height * curve + noise)
    return frames


def _write_tables(
    folder: Path, case: str, drawn: DrawnCase, rng: np.random.Generator, centre: int
) -> None:
    volume_ml = float(drawn.infarct.sum() * np.prod(SPACING_MM) / 1000.0)
    nihss = int(np.clip(2.0 + volume_ml / 4.0 + rng.normal(0.0, 2.0), 0, 35))
    age, sex = int(rng.integers(45, 90)), str(rng.choice(("M", "F")))
    baseline = (
        centre,
        age,
        sex,
        nihss,
        f"{rng.integers(0, 6)}:{rng.integers(10, 60)}:00",
        "0:25:00",
    )
    outcome = (max(nihss - 2, 0), min(nihss // 5, 6), str(rng.choice(("2b", "2c", "3"))))
    _write_row(folder / "ses-01" / f"{case}_ses-01_demographic_baseline.csv", _BASELINE, baseline)
    _write_row(folder / "ses-02" / f"{case}_ses-02_outcome.csv", _OUTCOME, outcome)


def _write_row(path: Path, head: tuple[str, ...], row: tuple[object, ...]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, row])
