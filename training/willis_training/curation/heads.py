"""Build the training heads: SynthSeg label maps with ASPECTS regions and a way into MNI space.

    python -m willis_training.curation.heads --data ../shared --out .cache/heads

Each head becomes one compressed .npz (see `Head`) and one page of pictures to look at.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from willis_models.volume import Array, Volume
from willis_training.curation import label_codes
from willis_training.curation import label_transfer as transfer
from willis_training.curation.label_transfer import (
    Floats,
    Labels,
    MniAtlas,
    SmoothRegions,
    TransferQuality,
)
from willis_training.curation.nifti import crop, read_nifti, volume_from_nifti

if TYPE_CHECKING:
    from willis_training.curation.registration import Mapping

Box = tuple[slice, slice, slice]

HEAD_MARGIN = 8
BRAIN_MARGIN = 14
FIELD_STEP = 2
"""``Head.mni_lps`` holds every second voxel along each axis."""


@dataclass(frozen=True)
class Head:
    """One head with its anatomy, its ASPECTS regions and its positions in MNI space.

    ``labels`` SynthSeg codes (z, y, x), ``regions`` and ``regions_affine`` 0-20 on the same grid
    (1-10 patient left, 11-20 right; the latter carried by the affine part alone); ``affine_lps``
    maps (k, j, i, 1) to LPS mm, k superior, j posterior, i to patient left. ``mni_lps`` (z2, y2,
    x2, 3) is the MNI position (x, y, z) in LPS mm of the voxels [::2, ::2, ::2].
    """

    name: str
    labels: NDArray[np.uint16]
    affine_lps: NDArray[np.float64]
    regions: Labels
    regions_affine: Labels
    mni_lps: Floats
    quality: TransferQuality


def load_head(path: Path) -> Head:
    """Read a head as `save_head` wrote it."""
    with np.load(path) as stored:
        report = json.loads(str(stored["quality"]))
        quality = TransferQuality(**{**report, "volumes_ml": tuple(report["volumes_ml"])})
        return Head(
            name=path.stem,
            labels=stored["labels"],
            affine_lps=stored["affine_lps"],
            regions=stored["regions"],
            regions_affine=stored["regions_affine"],
            mni_lps=stored["mni_lps"],
            quality=quality,
        )


def save_head(head: Head, folder: Path) -> Path:
    """Write a head to ``folder/<name>.npz``, whole or not at all; returns the path."""
    path = folder / f"{head.name}.npz"
    partial = folder / f".{head.name}.partial"
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            labels=head.labels,
            affine_lps=head.affine_lps,
            regions=head.regions,
            regions_affine=head.regions_affine,
            mni_lps=head.mni_lps,
            quality=np.array(json.dumps(asdict(head.quality))),
        )
    partial.replace(path)
    return path


def load_atlas(data: Path) -> MniAtlas:
    """nilearn's MNI152 template (it comes inside the package) and the ASPECTS regions."""
    from nilearn import datasets  # slow to import

    brain = volume_from_nifti(datasets.load_mni152_brain_mask(resolution=1))
    t1 = volume_from_nifti(datasets.load_mni152_template(resolution=1))
    regions = read_nifti(data / "atlas" / "aspects_regions_mni_1mm.nii.gz")
    inside = brain.voxels > 0
    on_regions = _sample_nearest(brain.with_voxels(inside), regions)
    return MniAtlas(
        t1=t1.with_voxels((t1.voxels * inside).astype(np.float32)),
        grey=_as_float(volume_from_nifti(datasets.load_mni152_gm_template(resolution=1))),
        white=_as_float(volume_from_nifti(datasets.load_mni152_wm_template(resolution=1))),
        brain=_as_float(brain),
        regions=regions.with_voxels(transfer.extend_to_surface(regions.voxels, on_regions)),
    )


def _as_float(volume: Volume) -> Volume:
    return volume.with_voxels(volume.voxels.astype(np.float32))


def _sample_nearest(volume: Volume, like: Volume) -> NDArray[np.bool_]:
    """A mask on another volume's grid."""
    indices = np.moveaxis(np.indices(like.voxels.shape), 0, -1)
    wanted = volume.grid.to_index(like.grid.to_world(indices))
    sampled = ndimage.map_coordinates(
        volume.voxels.astype(np.uint8), np.moveaxis(wanted, -1, 0), order=0
    )
    return np.asarray(sampled > 0)


def make_head(name: str, source: Volume, atlas: MniAtlas, smooth: SmoothRegions) -> Head:
    """Carry the regions into one whole-head label map of 1-mm voxels."""
    from willis_training.curation.registration import RegistrationSettings, register

    whole = crop(source, bounding_box(source.voxels > 0, HEAD_MARGIN))
    whole = whole.with_voxels(whole.voxels.astype(np.uint16))
    tissue = np.isin(whole.voxels, label_codes.PARENCHYMA_CODES)
    box = bounding_box(tissue, BRAIN_MARGIN, even=True)
    brain = crop(whole, box)
    painted = brain.with_voxels(transfer.paint_t1(brain.voxels))
    mapping = register(_thin(painted), _thin_t1(atlas), RegistrationSettings())
    inner = _halve(box, mapping.displacement_mm.shape[:3])
    affine_mni, mni_lps = _positions(whole, mapping, inner)
    shape = brain.voxels.shape
    rough = transfer.region_probabilities(smooth, upsample_field(affine_mni[inner], shape))
    dense = upsample_field(mni_lps[inner], shape)
    carried = transfer.region_probabilities(smooth, dense)
    regions = transfer.carve_regions(brain.voxels, carried)
    measured = _Measured(
        dense,
        transfer.lentiform_dice(brain.voxels, carried),
        transfer.lentiform_dice(brain.voxels, rough),
        transfer.region_volumes_ml(regions, whole.grid.voxel_ml),
    )
    return Head(
        name=name,
        labels=whole.voxels,
        affine_lps=whole.affine_lps,
        regions=_put_back(regions, box, whole.voxels.shape),
        regions_affine=_put_back(
            transfer.carve_regions(brain.voxels, rough), box, whole.voxels.shape
        ),
        mni_lps=mni_lps,
        quality=_quality(brain.voxels, atlas, mapping, measured),
    )


def _positions(whole: Volume, mapping: Mapping, inner: Box) -> tuple[Floats, Floats]:
    """MNI positions (z2, y2, x2, 3) of every second voxel: affine part alone, and all of it.

    Outside the brain's box the deformable part is zero; SyN lets it fade towards the box's faces.
    """
    thinned = whole.voxels[::FIELD_STEP, ::FIELD_STEP, ::FIELD_STEP].shape
    index = np.moveaxis(np.indices(thinned) * FIELD_STEP, 0, -1)
    affine_mni = whole.grid.to_world(index) @ mapping.matrix.T + mapping.offset_mm
    mni = affine_mni.copy()
    mni[inner] += mapping.displacement_mm @ mapping.matrix.T
    return affine_mni.astype(np.float32), mni.astype(np.float32)


@dataclass(frozen=True)
class _Measured:
    """What the transfer itself gave: MNI positions at 1 mm, overlaps, volumes."""

    dense_mni_lps: Floats
    dice_lentiform: float
    dice_lentiform_affine: float
    volumes_ml: tuple[float, ...]


def _quality(
    labels: Array, atlas: MniAtlas, mapping: Mapping, measured: _Measured
) -> TransferQuality:
    """The report on one transfer; ``labels`` are those of the brain's box."""
    inside = transfer.brain_mask(labels)
    thinned = inside[::FIELD_STEP, ::FIELD_STEP, ::FIELD_STEP]
    forward, step_mm = mapping.displacement_mm, float(FIELD_STEP)
    jacobian = transfer.jacobian_determinant(forward, step_mm)[thinned]
    error = transfer.inverse_error_mm(forward, mapping.inverse_displacement_mm, step_mm)[thinned]
    grey, white, csf = transfer.tissue_dice(labels, atlas, measured.dense_mni_lps, inside)
    return TransferQuality(
        jacobian_min=float(jacobian.min()),
        jacobian_p01=float(np.percentile(jacobian, 1)),
        jacobian_p99=float(np.percentile(jacobian, 99)),
        folded_fraction=float((jacobian <= 0).mean()),
        affine_scale=float(np.linalg.det(mapping.matrix)),
        inverse_error_mean_mm=float(error.mean()),
        inverse_error_p95_mm=float(np.percentile(error, 95)),
        dice_lentiform=measured.dice_lentiform,
        dice_lentiform_affine=measured.dice_lentiform_affine,
        dice_grey=grey,
        dice_white=white,
        dice_csf=csf,
        volumes_ml=measured.volumes_ml,
    )


def bounding_box(mask: NDArray[np.bool_], margin: int, *, even: bool = False) -> Box:
    """Array slices around a mask, inside the array; ``even`` starts on even indices."""
    sides = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hits = np.flatnonzero(mask.any(axis=others))
        start = max(int(hits[0]) - margin, 0)
        stop = min(int(hits[-1]) + 1 + margin, mask.shape[axis])
        sides.append(slice(start - start % 2 if even else start, stop))
    return sides[0], sides[1], sides[2]


def upsample_field(field: Floats, shape: tuple[int, ...]) -> Floats:
    """A field (z2, y2, x2, 3) on every second voxel, linearly on all voxels (z, y, x, 3)."""
    dense = np.empty((*shape, 3), dtype=np.float32)
    index = np.indices(shape, dtype=np.float32) / FIELD_STEP
    for axis in range(3):
        ndimage.map_coordinates(
            field[..., axis], index, order=1, mode="nearest", output=dense[..., axis]
        )
    return dense


def _thin(image: Volume) -> Volume:
    """Every second voxel of an image, smoothed first."""
    smooth = ndimage.gaussian_filter(image.voxels, 0.8)
    affine_lps = image.affine_lps.copy()
    affine_lps[:3, :3] *= FIELD_STEP
    return Volume(smooth[::FIELD_STEP, ::FIELD_STEP, ::FIELD_STEP].copy(), affine_lps)


def _thin_t1(atlas: MniAtlas) -> Volume:
    """The template at 2 mm, cropped to its brain."""
    return _thin(crop(atlas.t1, bounding_box(atlas.t1.voxels > 0, BRAIN_MARGIN, even=True)))


def _halve(box: Box, shape: tuple[int, ...]) -> Box:
    """The place of a box on the thinned grid, given its thinned shape."""
    sides = [
        slice(side.start // FIELD_STEP, side.start // FIELD_STEP + length)
        for side, length in zip(box, shape, strict=True)
    ]
    return sides[0], sides[1], sides[2]


def _put_back(part: Labels, box: Box, shape: tuple[int, ...]) -> Labels:
    whole = np.zeros(shape, dtype=np.uint8)
    whole[box] = part
    return whole


def build_heads(
    data: Path, out: Path, *, progress: Callable[[str], None], only: Iterable[str] = ()
) -> list[Path]:
    """Process every head under ``data`` that ``out`` lacks; returns the paths of all of them."""
    from willis_training.curation.pictures import draw_head

    sources = sorted((data / "atlas" / "heads").glob("head_*.nii.gz"))
    if not sources:
        raise FileNotFoundError(
            f"No head_*.nii.gz under {data / 'atlas' / 'heads'}. They are the training label maps "
            "of SynthSeg (github.com/BBillot/SynthSeg, Apache-2.0)."
        )
    wanted = set(only)
    chosen = [path for path in sources if not wanted or _name(path) in wanted]
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    atlas = load_atlas(data)
    smooth = transfer.smooth_regions(atlas.regions)
    done = []
    for source in chosen:
        path = out / f"{_name(source)}.npz"
        if not path.exists():
            head = make_head(_name(source), read_nifti(source), atlas, smooth)
            draw_head(head, out / "pictures" / f"{head.name}.png")
            path = save_head(head, out)
        progress(summary(load_head(path)))
        done.append(path)
    return done


def _name(path: Path) -> str:
    return path.name.removesuffix(".nii.gz")


def summary(head: Head, limits: transfer.TransferLimits | None = None) -> str:
    """One line on a head's transfer."""
    q = head.quality
    failures = q.failures(limits or transfer.TransferLimits())
    return (
        f"{head.name} jacobian {q.jacobian_min:.2f} {q.jacobian_p01:.2f}-{q.jacobian_p99:.2f} "
        f"folded {q.folded_fraction:.1e} inverse {q.inverse_error_mean_mm:.2f}/"
        f"{q.inverse_error_p95_mm:.2f} mm dice lentiform {q.dice_lentiform:.2f} (affine "
        f"{q.dice_lentiform_affine:.2f}) grey {q.dice_grey:.2f} white {q.dice_white:.2f} "
        f"csf {q.dice_csf:.2f} {'ok' if not failures else '; '.join(failures)}"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.curation.heads",
        description="Carry the ASPECTS regions into every head label map (about 40 seconds a "
        "head and core). Finished heads are skipped, so a broken run goes on where it "
        "stopped; delete a head's .npz to build it again.",
        epilog="Look at OUT/pictures before you train on the result.",
    )
    parser.add_argument("--data", type=Path, default=Path("../shared"), help="holds atlas/")
    parser.add_argument("--out", type=Path, default=Path(".cache/heads"), help="result folder")
    parser.add_argument("--only", nargs="*", default=(), metavar="NAME", help="such as head_01")
    parser.add_argument("--threads", type=int, default=2, help="threads for the registration")
    chosen = parser.parse_args(arguments)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(chosen.threads)
    build_heads(
        chosen.data, chosen.out, progress=lambda line: print(line, flush=True), only=chosen.only
    )


if __name__ == "__main__":
    main()
