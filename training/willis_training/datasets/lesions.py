"""Real stroke lesion masks in MNI space, packed on one 2-mm grid.

    python -m willis_training.datasets.lesions --data ../shared --out .cache

The grid: (z, y, x) = (91, 109, 91) voxels of 2 mm, the FSL MNI152 field of view (182, 218, 182 at
1 mm). Index (k, j, i) lies at LPS x = 2 i - 89.5, y = 2 j - 90.5, z = 2 k - 71.5 mm: each voxel
covers eight 1-mm voxels of the source exactly.
"""

from __future__ import annotations

import argparse
import hashlib
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import GeometryError
from willis_models.volume import Array, Grid, Volume
from willis_training.curation.nifti import decode_nifti, read_nifti

Side = Literal["left", "right", "both"]

FINE_GRID = Grid(
    (182, 218, 182),
    np.array(
        [[0.0, 0.0, 1.0, -90.0], [0.0, 1.0, 0.0, -91.0], [1.0, 0.0, 0.0, -72.0], [0, 0, 0, 1.0]]
    ),
)
GRID = Grid(
    (91, 109, 91),
    np.array(
        [[0.0, 0.0, 2.0, -89.5], [0.0, 2.0, 0.0, -90.5], [2.0, 0.0, 0.0, -71.5], [0, 0, 0, 1.0]]
    ),
)
TEST_SHARE = 0.25
ONE_SIDED_SHARE = 0.9
REGIONS = 20

SOURCES = {
    "acute": (
        "acute_lesions_mni.tar",
        "neurolabusc/StrokeOutcomeOptimizationProjectDemo (BSD-2)",
    ),
    "chronic": ("chronic_lesions_mni_lesymap.tar", "dorianps/LESYMAP (Apache-2.0)"),
}


@dataclass(frozen=True)
class LesionBank:
    """Many lesions on one grid.

    ``packed`` (n, bytes) holds the masks as `numpy.packbits` of the flattened (z, y, x) array;
    ``volume_ml``, ``left_share`` (0-1 of the volume at x > 0 LPS) and ``region_fraction`` (n, 20:
    covered share of each ASPECTS region, in label order) are measured on the 1-mm source. A lesion
    has a side where at least 90% of it lies there, else it is "both".
    """

    shape: tuple[int, int, int]
    affine_lps: NDArray[np.float64]
    packed: NDArray[np.uint8]
    names: tuple[str, ...]
    volume_ml: NDArray[np.float32]
    left_share: NDArray[np.float32]
    side: tuple[Side, ...]
    region_fraction: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.names)

    def mask(self, index: int) -> NDArray[np.bool_]:
        """One lesion as a mask (z, y, x)."""
        size = int(np.prod(self.shape))
        return np.unpackbits(self.packed[index], count=size).reshape(self.shape).astype(np.bool_)

    def indices(self, part: Literal["train", "test"]) -> tuple[int, ...]:
        """The lesions of one side of the split, in order."""
        return tuple(n for n, name in enumerate(self.names) if split(name) == part)


def split(name: str) -> Literal["train", "test"]:
    """The part a lesion belongs to, from its name alone; about one in four is kept for testing."""
    first = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return "test" if first / 2**64 < TEST_SHARE else "train"


@dataclass(frozen=True)
class Lesion:
    """One lesion as measured on its 1-mm source, with its mask on the 2-mm grid."""

    name: str
    mask: NDArray[np.bool_]
    volume_ml: float
    left_share: float
    region_fraction: NDArray[np.float32]

    @property
    def side(self) -> Side:
        """Where at least 90% of the lesion lies."""
        if self.left_share >= ONE_SIDED_SHARE:
            return "left"
        return "right" if self.left_share <= 1.0 - ONE_SIDED_SHARE else "both"


def measure(name: str, lesion: Volume, regions: Array) -> Lesion:
    """Describe one mask; ``regions`` are labels 0-20 on `FINE_GRID`."""
    fine = place(lesion)
    x_lps = FINE_GRID.affine_lps[0, 3] + np.arange(FINE_GRID.shape[2])
    by_x = fine.sum(axis=(0, 1))
    sided = int(by_x[x_lps != 0].sum())
    covered = np.bincount(regions[fine], minlength=REGIONS + 1)[1:]
    whole = np.bincount(regions.ravel(), minlength=REGIONS + 1)[1:]
    return Lesion(
        name=name,
        mask=halve(fine),
        volume_ml=float(by_x.sum()) / 1000.0,
        left_share=float(by_x[x_lps > 0].sum() / sided) if sided else 0.5,
        region_fraction=(covered / np.maximum(whole, 1)).astype(np.float32),
    )


def place(lesion: Volume) -> NDArray[np.bool_]:
    """A 1-mm mask on `FINE_GRID`; raises `GeometryError` where it does not fit voxel on voxel."""
    start = FINE_GRID.to_index(lesion.affine_lps[:3, 3])
    turned = not np.allclose(lesion.affine_lps[:3, :3], FINE_GRID.affine_lps[:3, :3], atol=1e-4)
    if turned or not np.allclose(start, np.round(start), atol=1e-3):
        raise GeometryError("A lesion mask must have 1-mm voxels on whole millimetres of MNI.")
    fine = np.zeros(FINE_GRID.shape, dtype=np.bool_)
    hits = np.argwhere(lesion.voxels > 0) + np.round(start).astype(int)
    if len(hits) and ((hits < 0).any() or (hits >= FINE_GRID.shape).any()):
        raise GeometryError("A lesion mask reaches beyond the MNI field of view.")
    fine[tuple(hits.T)] = True
    return fine


def halve(fine: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Eight voxels to one, by majority; a lesion too thin for that keeps every voxel it meets."""
    z, y, x = (length // 2 for length in fine.shape)
    share = fine.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))
    majority = share >= 0.5
    return np.asarray(majority if majority.any() else share > 0)


def collect(lesions: Iterator[Lesion]) -> LesionBank:
    """Pack measured lesions into one bank."""
    found = list(lesions)
    return LesionBank(
        shape=GRID.shape,
        affine_lps=GRID.affine_lps,
        packed=np.stack([np.packbits(lesion.mask) for lesion in found]),
        names=tuple(lesion.name for lesion in found),
        volume_ml=np.array([lesion.volume_ml for lesion in found], dtype=np.float32),
        left_share=np.array([lesion.left_share for lesion in found], dtype=np.float32),
        side=tuple(lesion.side for lesion in found),
        region_fraction=np.stack([lesion.region_fraction for lesion in found]),
    )


def read_tar(path: Path) -> Iterator[tuple[str, Volume]]:
    """(name, mask) of each NIfTI file in an archive, without unpacking it to disk."""
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if ".nii" in member.name else None
            if file is not None:
                yield Path(member.name).name.partition(".nii")[0], decode_nifti(file.read())


def save_bank(bank: LesionBank, path: Path) -> None:
    """Write a bank as a compressed .npz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        shape=np.array(bank.shape),
        affine_lps=bank.affine_lps,
        packed=bank.packed,
        names=np.array(bank.names),
        volume_ml=bank.volume_ml,
        left_share=bank.left_share,
        side=np.array(bank.side),
        region_fraction=bank.region_fraction,
    )


def load_bank(path: Path) -> LesionBank:
    """Read a bank as `save_bank` wrote it."""
    with np.load(path) as stored:
        z, y, x = (int(length) for length in stored["shape"])
        return LesionBank(
            shape=(z, y, x),
            affine_lps=stored["affine_lps"],
            packed=stored["packed"],
            names=tuple(str(name) for name in stored["names"]),
            volume_ml=stored["volume_ml"],
            left_share=stored["left_share"],
            side=tuple(str(side) for side in stored["side"]),  # type: ignore[misc]
            region_fraction=stored["region_fraction"],
        )


def build_banks(data: Path, out: Path, *, progress: Callable[[str], None]) -> dict[str, Path]:
    """Read both archives into ``out/lesions_acute.npz`` and ``out/lesions_chronic.npz``."""
    regions = _regions_on_fine_grid(data / "atlas" / "aspects_regions_mni_1mm.nii.gz")
    written = {}
    for kind, (archive, source) in SOURCES.items():
        path = data / "atlas" / "lesions" / archive
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; it comes from {source} on GitHub.")
        bank = collect(measure(name, mask, regions) for name, mask in read_tar(path))
        written[kind] = out / f"lesions_{kind}.npz"
        save_bank(bank, written[kind])
        progress(_summary(kind, bank))
    return written


def _regions_on_fine_grid(path: Path) -> Array:
    atlas = read_nifti(path)
    if atlas.voxels.shape != FINE_GRID.shape or not np.allclose(
        atlas.affine_lps, FINE_GRID.affine_lps
    ):
        raise GeometryError(f"{path.name} does not lie on the 182 x 218 x 182 MNI grid.")
    return atlas.voxels


def _summary(kind: str, bank: LesionBank) -> str:
    sides = ", ".join(f"{bank.side.count(side)} {side}" for side in ("left", "right", "both"))
    quantiles = np.percentile(bank.volume_ml, [5, 25, 50, 75, 95]).round(1)
    return (
        f"{kind}: {len(bank)} lesions ({sides}), {len(bank.indices('test'))} for testing, "
        f"volume p5/25/50/75/95 {'/'.join(map(str, quantiles))} mL"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.datasets.lesions",
        description="Pack the acute and chronic lesion masks in MNI space into two .npz files, "
        "with volume, side and the share of each ASPECTS region that a lesion covers. Takes "
        "about three minutes.",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="holds atlas/")
    parser.add_argument("--out", type=Path, default=Path(".cache"), help="result folder")
    chosen = parser.parse_args(arguments)
    build_banks(chosen.data, chosen.out, progress=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
