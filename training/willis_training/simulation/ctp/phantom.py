"""The head and stroke that ship with Willis: enough to make a perfusion study anywhere.

python -m willis_training.simulation.ctp.phantom --data ../shared --cache .cache --out demo
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Grid
from willis_training.simulation.ctp.head import COARSE_STEP, PerfusionHead, perfusion_head
from willis_training.simulation.ctp.stroke import Course, PerfusionStroke, draw_stroke

FILE = "ctp_phantom.npz"
HEAD = "head_12"
LESION = "lesion-118"
SEED = 5
SPACING_MM = 1.5
COURSE = Course(
    onset_h=5.0,
    reperfused=True,
    growth=0.35,
    salvage=3.0,
    border_noise_mm=4.0,
    silent_share=0.05,
    reversed_share=0.05,
)
_SEVERITY_STEP = 0.01
_MASKS = ("core", "penumbra", "final_infarct")
_NECK_MM = 14.0


def load_phantom(path: Path) -> tuple[PerfusionHead, PerfusionStroke]:
    """Read the phantom as `save_phantom` wrote it."""
    with np.load(path) as stored:
        coarse = tuple(int(n) for n in stored["coarse_shape"])
        size = int(np.prod(coarse))
        masks = {
            name: np.unpackbits(stored[name], count=size).reshape(coarse).astype(bool)
            for name in _MASKS
        }
        head = PerfusionHead(
            name=str(stored["head"]),
            labels=stored["codes"][stored["labels"]],
            affine_lps=stored["affine_lps"],
            artery=stored["artery"],
            vein=stored["vein"],
            trunk=stored["trunk"],
            centre_lps=stored["centre_lps"],
        )
        stroke = PerfusionStroke(
            severity=stored["severity"].astype(np.float32) * np.float32(_SEVERITY_STEP),
            course=Course(**{k: stored[f"course_{k}"].item() for k in asdict(COURSE)}),
            trunk=int(stored["closed_trunk"]),
            lesion=str(stored["lesion"]),
            **masks,
        )
    return head, stroke


def save_phantom(head: PerfusionHead, stroke: PerfusionStroke, path: Path) -> None:
    """Write head and stroke as one small compressed .npz."""
    codes, labels = np.unique(head.labels, return_inverse=True)
    content: dict[str, Any] = dict(
        head=np.array(head.name),
        codes=codes.astype(np.uint16),
        labels=labels.reshape(head.labels.shape).astype(np.uint8),
        affine_lps=head.affine_lps,
        artery=head.artery,
        vein=head.vein,
        trunk=head.trunk,
        centre_lps=head.centre_lps,
        coarse_shape=np.array(stroke.core.shape),
        severity=np.rint(stroke.severity / _SEVERITY_STEP).astype(np.uint8),
        closed_trunk=np.array(stroke.trunk),
        lesion=np.array(stroke.lesion),
        **{name: np.packbits(getattr(stroke, name)) for name in _MASKS},
        **{f"course_{key}": np.array(each) for key, each in asdict(stroke.course).items()},
    )
    np.savez_compressed(path, **content)


def thinned(
    head: PerfusionHead, stroke: PerfusionStroke, spacing_mm: float
) -> tuple[PerfusionHead, PerfusionStroke]:
    """The same on a coarser grid, cut below the brain."""
    bottom = head.brain_points_lps[:, 2].min() - _NECK_MM
    first = max(int(np.floor(head.grid.to_index(np.array([0.0, 0.0, bottom]))[0])), 0)
    inside = np.argwhere(head.labels[first:] > 0)
    low = inside.min(0) + np.array([first, 0, 0])
    count = np.ceil((inside.max(0) + np.array([first, 0, 0]) - low) / spacing_mm).astype(int) + 1
    affine = head.affine_lps.copy()
    affine[:3, 3] = head.grid.to_world(low.astype(float))
    affine[:3, :3] *= spacing_mm
    grid = Grid((int(count[0]), int(count[1]), int(count[2])), affine)
    fine = _Resampler(head.grid, grid, 1)
    coarse = _Resampler(head.grid, grid, COARSE_STEP)
    masks = {name: coarse.nearest(getattr(stroke, name)).astype(bool) for name in _MASKS}
    small_head = PerfusionHead(
        name=head.name,
        labels=fine.nearest(head.labels),
        affine_lps=affine,
        artery=fine.linear(ndimage.gaussian_filter(head.artery.astype(np.float32), 0.5), np.uint8),
        vein=fine.linear(ndimage.gaussian_filter(head.vein.astype(np.float32), 0.5), np.uint8),
        trunk=fine.nearest(head.trunk),
        centre_lps=head.centre_lps,
    )
    severity = coarse.linear(stroke.severity, np.float32)
    return small_head, PerfusionStroke(
        severity=severity, course=stroke.course, trunk=stroke.trunk, lesion=stroke.lesion, **masks
    )


class _Resampler:
    """From one grid to another: whole voxels (step 1) or the coarse maps of both (step 2)."""

    def __init__(self, source: Grid, target: Grid, step: int) -> None:
        index = np.moveaxis(np.indices(target.shape)[:, ::step, ::step, ::step], 0, -1)
        self._where = np.moveaxis(source.to_index(target.to_world(index)), -1, 0) / step

    def nearest(self, values: NDArray[Any]) -> NDArray[Any]:
        """Nearest voxel, 0 outside."""
        found = ndimage.map_coordinates(values.astype(np.int32), self._where, order=0)
        return np.asarray(found, dtype=values.dtype)

    def linear(self, values: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Linear interpolation, 0 outside."""
        found = ndimage.map_coordinates(values, self._where, order=1)
        return np.asarray(np.rint(found) if dtype == np.uint8 else found, dtype=dtype)


def make_phantom(data: Path, cache: Path) -> tuple[PerfusionHead, PerfusionStroke]:
    """Head and lesion of the test part: nothing was trained on them."""
    from willis_training.curation.heads import load_head
    from willis_training.datasets.lesions import load_bank
    from willis_training.simulation.anatomy import Anatomy
    from willis_training.simulation.ctp.territory import (
        lesion_in,
        read_territories,
        territories_in,
    )

    anatomy = Anatomy(load_head(cache / "heads" / f"{HEAD}.npz"))
    head = perfusion_head(anatomy)
    bank = load_bank(cache / "lesions_acute.npz")
    index = bank.names.index(LESION)
    infarct = lesion_in(anatomy, bank, index, mirrored=bank.side[index] == "left")
    territory = territories_in(anatomy, read_territories(data))
    rng = np.random.default_rng(SEED)
    stroke = draw_stroke(head, infarct, territory, rng, COURSE).named(LESION)
    return thinned(head, stroke, SPACING_MM)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.simulation.ctp.phantom",
        description="Make the phantom anew; the same data give the same content.",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="holds atlas/")
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="heads and lesions")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="result folder")
    chosen = parser.parse_args(arguments)
    path = chosen.out / FILE
    save_phantom(*make_phantom(chosen.data, chosen.cache), path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
