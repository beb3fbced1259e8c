"""Simulated cases for the ASPECTS networks: scan, prepare as the service does, keep with its truth.

Each case is made from its own seed (head name and number), so a cache can grow, resume and be made
again anywhere with the same content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import InputError
from willis_models.imaging.register import apply_affine, inverse_of
from willis_models.imaging.resample import grid_points, is_covered, sample_stack, shrink
from willis_models.manifest import Manifest
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import network_grid
from willis_models.pipelines.aspects.prepare import prepare
from willis_models.pipelines.base import Assets, InputImage
from willis_models.volume import Grid, SliceStack
from willis_training.curation.heads import load_head
from willis_training.datasets.head_split import part_of
from willis_training.datasets.lesions import LesionBank, load_bank
from willis_training.simulation.anatomy import Anatomy, pull_from_mni
from willis_training.simulation.ncct import SimulatedScan, simulate
from willis_training.simulation.pathology import Coarse, Stroke, covered_shares
from willis_training.simulation.scanner import draw_scanner

STROKE_SHARE = 0.65
OLD_INFARCT_SHARE = 0.12
RAW_SHARE = 0.3
DROPS_HU = (1.5, 9.0)

LesionPart = Literal["train", "test"]


@dataclass(frozen=True)
class TrainingCase:
    """What the trainers need of one case, on the network's grid.

    ``hu`` int16 (z, y, x); ``brain`` and ``covered_grid`` masks; ``regions`` truth 0-20;
    ``covered`` (20,) share of each region inside the lesion; ``raw_hu`` and ``raw_regions`` the
    same head unregistered and unstripped, or None.
    """

    head: str
    hu: NDArray[np.int16]
    brain: NDArray[np.bool_]
    covered_grid: NDArray[np.bool_]
    regions: NDArray[np.uint8]
    covered: NDArray[np.float64]
    drop_hu: float
    raw_hu: NDArray[np.int16] | None = None
    raw_regions: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Lesions:
    """The banks of fresh and of old infarcts."""

    acute: LesionBank
    chronic: LesionBank

    @staticmethod
    def load(cache: Path) -> Lesions:
        """Read both banks from the cache folder."""
        return Lesions(
            load_bank(cache / "lesions_acute.npz"), load_bank(cache / "lesions_chronic.npz")
        )


def seed_of(head: str, number: int) -> int:
    """The seed of one case, from its name alone."""
    digest = hashlib.sha256(f"{head}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def draw_scan(
    anatomy: Anatomy,
    lesions: Lesions,
    number: int,
    matrix: int = 256,
    stroke_share: float = STROKE_SHARE,
) -> SimulatedScan:
    """Case ``number`` of a head: scanner, position, stroke or none, mimics."""
    rng = np.random.default_rng(seed_of(anatomy.head.name, number))
    part = lesion_part(anatomy)
    stroke = draw_stroke(anatomy, lesions.acute, part, rng) if rng.random() < stroke_share else None
    old = None
    if rng.random() < OLD_INFARCT_SHARE:
        old = _pull(anatomy, lesions.chronic, int(rng.choice(lesions.chronic.indices(part))), rng)
    return simulate(anatomy, draw_scanner(rng, matrix), rng, stroke, old)


def draw_stroke(
    anatomy: Anatomy, bank: LesionBank, part: LesionPart, rng: np.random.Generator
) -> Stroke:
    """A one-sided lesion of the bank that reaches at least one region, mirrored half the time."""
    return draw_named_stroke(anatomy, bank, part, rng)[1]


def draw_named_stroke(
    anatomy: Anatomy, bank: LesionBank, part: LesionPart, rng: np.random.Generator
) -> tuple[str, Stroke]:
    """As ``draw_stroke``, with the name of the lesion: what a split by lesion needs."""
    suitable = [
        n
        for n in bank.indices(part)
        if bank.side[n] != "both" and bank.region_fraction[n].max() >= 0.1
    ]
    while True:
        index = int(rng.choice(suitable))
        mask = _pull(anatomy, bank, index, rng)
        stroke = Stroke(mask, float(rng.uniform(*DROPS_HU)), float(rng.uniform(0.0, 0.5)))
        if covered_shares(stroke, anatomy).max() > 0.05:
            return bank.names[index], stroke


def lesion_of(
    anatomy: Anatomy, lesions: Lesions, number: int, stroke_share: float = STROKE_SHARE
) -> str | None:
    """The lesion that ``draw_scan`` gave case ``number``; None where it drew no stroke."""
    rng = np.random.default_rng(seed_of(anatomy.head.name, number))
    if rng.random() >= stroke_share:
        return None
    return draw_named_stroke(anatomy, lesions.acute, lesion_part(anatomy), rng)[0]


def lesion_part(anatomy: Anatomy) -> LesionPart:
    """Test heads draw test lesions, other heads training lesions."""
    return "test" if part_of(anatomy.head.name) == "test" else "train"


def _pull(anatomy: Anatomy, bank: LesionBank, index: int, rng: np.random.Generator) -> Coarse:
    mirror = np.array([rng.choice([-1.0, 1.0]), 1.0, 1.0], dtype=np.float32)
    return pull_from_mni(bank.mask(index), bank.affine_lps, anatomy.head.mni_lps * mirror)


def make_case(
    anatomy: Anatomy, lesions: Lesions, number: int, manifest: Manifest, assets: Assets
) -> TrainingCase:
    """Simulate and prepare one case. Raises InputError where the service would reject it."""
    scan = draw_scan(anatomy, lesions, number)
    prepared = prepare({"ncct": InputImage(scan.stack)}, manifest, assets)
    head: HeadInTemplate = prepared.context
    rng = np.random.default_rng(seed_of(anatomy.head.name, -number - 1))
    raw_hu = raw_regions = None
    if rng.random() < RAW_SHARE:
        raw_hu, raw_regions = _raw_view(scan, network_grid(manifest), rng)
    return TrainingCase(
        head=anatomy.head.name,
        hu=np.rint(head.hu).astype(np.int16),
        brain=head.brain,
        covered_grid=head.covered,
        regions=truth_on_grid(scan, head),
        covered=scan.covered,
        drop_hu=scan.drop_hu,
        raw_hu=raw_hu,
        raw_regions=raw_regions,
    )


def truth_on_grid(scan: SimulatedScan, head: HeadInTemplate) -> NDArray[np.uint8]:
    """True regions (0-20) on the network's grid, where the scan reached."""
    native = apply_affine(inverse_of(head.registration.to_template), grid_points(head.grid))
    return _scanned_regions(scan, native)


def _scanned_regions(scan: SimulatedScan, points: NDArray[np.float64]) -> NDArray[np.uint8]:
    regions = scan.placement.regions_at(points)
    return np.where(is_covered(scan.stack, points), regions, 0).astype(np.uint8)


def _raw_view(
    scan: SimulatedScan, grid: Grid, rng: np.random.Generator
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """The grid laid over the head's middle without registration or stripping."""
    centre = scan.stack.to_world((np.array(scan.stack.shape) - 1)[None] / 2)[0]
    points = grid_points(grid)
    shift = centre - points.reshape(-1, 3).mean(axis=0)
    shift += np.array([0.0, 0.0, _height_of_regions(scan) - centre[2]])
    points = points + shift + rng.uniform(-8.0, 8.0, 3)
    hu = sample_stack(shrink(scan.stack, min(grid.spacing_mm)), points)
    return np.rint(hu).astype(np.int16), _scanned_regions(scan, points)


def _height_of_regions(scan: SimulatedScan) -> float:
    found: SliceStack = scan.stack
    area = (scan.regions > 0).sum(axis=(1, 2)).astype(float)
    middle = found.origins_lps[:, 2] + found.column_step_lps[2] * (found.shape[1] - 1) / 2
    return float((middle * area).sum() / area.sum())


def save_case(case: TrainingCase, path: Path) -> None:
    """Write a case, complete or not at all."""
    fields: dict[str, Any] = {k: v for k, v in vars(case).items() if v is not None}
    partial = path.with_suffix(".part.npz")
    np.savez_compressed(partial, **fields)
    os.replace(partial, path)


def load_case(path: Path) -> TrainingCase:
    """Read a case as ``save_case`` wrote it."""
    with np.load(path) as stored:
        fields: dict[str, Any] = {name: stored[name] for name in stored.files}
    fields["head"] = str(fields["head"])
    fields["drop_hu"] = float(fields["drop_hu"])
    return TrainingCase(**fields)


def make_cases(
    heads: Iterable[Path],
    numbers: range,
    cache: Path,
    manifest: Manifest,
    assets: Mapping[str, NDArray[Any]],
    report: Callable[[str], None],
) -> None:
    """Fill ``cache/cases`` for the given heads; what is there already is kept."""
    lesions = Lesions.load(cache)
    folder = cache / "cases"
    folder.mkdir(parents=True, exist_ok=True)
    for path in heads:
        missing = [n for n in numbers if not (folder / f"{path.stem}_{n:04d}.npz").exists()]
        if not missing:
            continue
        anatomy = Anatomy(load_head(path))
        for number in missing:
            try:
                case = make_case(anatomy, lesions, number, manifest, assets)
            except InputError as error:
                report(f"{path.stem} {number}: rejected as {error.code}: {error.message}")
                continue
            save_case(case, folder / f"{path.stem}_{number:04d}.npz")
        report(f"{path.stem}: {len(missing)} cases")
