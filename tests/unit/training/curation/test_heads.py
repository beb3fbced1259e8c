from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis_models.volume import Volume
from willis_training.curation import heads
from willis_training.curation.label_transfer import TransferQuality
from willis_training.curation.nifti import crop, read_nifti, volume_from_nifti

SHARED = Path(__file__).resolve().parents[5] / "shared"

QUALITY = TransferQuality(
    0.5, 0.6, 1.5, 0.0, 1.1, 0.02, 0.05, 0.8, 0.7, 0.7, 0.7, 0.3, tuple(range(20))
)


def test_a_nifti_turned_any_way_comes_out_superior_posterior_left() -> None:
    voxels = np.zeros((10, 12, 14), dtype=np.int16)
    voxels[2, 3, 4] = 1
    affine = np.array([[-1, 0, 0, 5], [0, 0, 1, -6], [0, -1, 0, 7], [0, 0, 0, 1]], dtype=float)
    volume = volume_from_nifti(nib.Nifti1Image(voxels, affine))
    np.testing.assert_array_equal(volume.affine_lps[:3, :3], np.eye(3)[::-1])
    point = volume.grid.to_world(np.argwhere(volume.voxels == 1)[0])
    ras = affine @ [2, 3, 4, 1]
    np.testing.assert_allclose(point, [-ras[0], -ras[1], ras[2]])


def test_a_crop_keeps_every_voxel_where_it_was() -> None:
    volume = Volume(np.arange(60).reshape(3, 4, 5), np.diag([2.0, 3.0, 4.0, 1.0]))
    part = crop(volume, (slice(1, 3), slice(2, 4), slice(0, 5)))
    assert part.voxels[0, 0, 0] == volume.voxels[1, 2, 0]
    np.testing.assert_array_equal(
        part.grid.to_world(np.zeros(3)), volume.grid.to_world(np.array([1, 2, 0]))
    )


def test_an_even_box_starts_on_even_indices_and_stays_inside() -> None:
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[1:19, 9:12, 10] = True
    assert heads.bounding_box(mask, 2, even=True) == (slice(0, 20), slice(6, 14), slice(8, 13))


def test_a_linear_field_survives_the_thinning() -> None:
    dense = np.stack(np.indices((9, 11, 13), dtype=np.float32), axis=-1)
    again = heads.upsample_field(dense[::2, ::2, ::2], (9, 11, 13))
    np.testing.assert_allclose(again, dense, atol=1e-5)


def test_a_saved_head_reads_back_the_same(tmp_path: Path) -> None:
    head = heads.Head(
        name="head_99",
        labels=np.ones((4, 6, 8), dtype=np.uint16),
        affine_lps=np.eye(4),
        regions=np.full((4, 6, 8), 3, dtype=np.uint8),
        regions_affine=np.zeros((4, 6, 8), dtype=np.uint8),
        mni_lps=np.zeros((2, 3, 4, 3), dtype=np.float32),
        quality=QUALITY,
    )
    again = heads.load_head(heads.save_head(head, tmp_path))
    assert again.name == head.name and again.quality == head.quality
    np.testing.assert_array_equal(again.regions, head.regions)
    assert [path.name for path in tmp_path.iterdir()] == ["head_99.npz"]


def test_missing_heads_are_named_with_their_source(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="SynthSeg"):
        heads.build_heads(tmp_path, tmp_path, progress=lambda line: None)


@pytest.mark.skipif(not SHARED.exists(), reason="the reference atlases are not at ../shared")
def test_a_real_heads_left_putamen_lies_on_the_patients_left() -> None:
    head = read_nifti(SHARED / "atlas" / "heads" / "head_01.nii.gz")
    left = head.grid.to_world(np.argwhere(head.voxels == 12).mean(axis=0))
    right = head.grid.to_world(np.argwhere(head.voxels == 51).mean(axis=0))
    assert left[0] > right[0] + 30.0
