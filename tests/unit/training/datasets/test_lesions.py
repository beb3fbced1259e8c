import io
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis_models.errors import GeometryError
from willis_models.volume import Volume
from willis_training.datasets import lesions

SHARED = Path(__file__).resolve().parents[5] / "shared"
NO_REGIONS = np.zeros(lesions.FINE_GRID.shape, dtype=np.uint8)


def block_at(centre_lps: tuple[float, float, float], side_mm: int = 10) -> Volume:
    """A cubic lesion in a small 1-mm volume."""
    affine = lesions.FINE_GRID.affine_lps.copy()
    affine[:3, 3] = np.asarray(centre_lps) - side_mm // 2
    return Volume(np.ones((side_mm,) * 3, dtype=np.uint8), affine)


def test_the_coarse_grid_lies_in_the_middle_of_eight_fine_voxels() -> None:
    corners = np.array([[10, 20, 30], [11, 21, 31]])
    middle = lesions.FINE_GRID.to_world(corners).mean(axis=0)
    np.testing.assert_allclose(lesions.GRID.to_world(np.array([5, 10, 15])), middle)


def test_a_lesion_keeps_its_place_volume_and_side() -> None:
    lesion = lesions.measure("block", block_at((40.0, 10.0, 20.0)), NO_REGIONS)
    assert lesion.volume_ml == 1.0 and lesion.side == "left"
    middle = lesions.GRID.to_world(np.argwhere(lesion.mask).mean(axis=0))
    np.testing.assert_allclose(middle, [39.5, 9.5, 19.5], atol=1.0)


def test_a_lesion_across_the_midline_has_both_sides() -> None:
    assert lesions.measure("middle", block_at((0.0, 0.0, 0.0)), NO_REGIONS).side == "both"
    assert lesions.measure("right", block_at((-40.0, 0.0, 0.0)), NO_REGIONS).side == "right"


def test_the_covered_share_of_a_region_is_measured() -> None:
    regions = NO_REGIONS.copy()
    fine = lesions.place(block_at((40.0, 10.0, 20.0)))
    regions[fine] = 7
    regions[:2, :10, :50] = 7
    share = lesions.measure("block", block_at((40.0, 10.0, 20.0)), regions).region_fraction
    assert share[6] == 0.5 and share.sum() == 0.5


def test_a_single_voxel_does_not_vanish() -> None:
    fine = np.zeros((4, 4, 4), dtype=bool)
    fine[3, 1, 2] = True
    assert np.argwhere(lesions.halve(fine)).tolist() == [[1, 0, 1]]


def test_a_mask_off_the_millimetre_lattice_is_refused() -> None:
    volume = block_at((40.0, 10.0, 20.0))
    moved = volume.affine_lps.copy()
    moved[0, 3] += 0.4
    with pytest.raises(GeometryError):
        lesions.place(Volume(volume.voxels, moved))


def test_a_bank_reads_back_the_masks_that_were_packed(tmp_path: Path) -> None:
    measured = [lesions.measure(f"n{x}", block_at((x, 0.0, 0.0)), NO_REGIONS) for x in (30.0, 50.0)]
    bank = lesions.collect(iter(measured))
    lesions.save_bank(bank, tmp_path / "bank.npz")
    again = lesions.load_bank(tmp_path / "bank.npz")
    assert len(again) == 2 and again.names == ("n30.0", "n50.0") and again.side == bank.side
    np.testing.assert_array_equal(again.mask(1), measured[1].mask)


def test_the_split_is_stable_and_keeps_about_a_quarter_for_testing() -> None:
    parts = [lesions.split(f"lesion-{number}") for number in range(2000)]
    assert 0.22 < parts.count("test") / 2000 < 0.28
    assert lesions.split("lesion-1000") == parts[1000]


def test_masks_are_read_straight_from_an_archive(tmp_path: Path) -> None:
    content = nib.Nifti1Image(np.ones((2, 2, 2), dtype=np.uint8), np.eye(4)).to_bytes()
    with tarfile.open(tmp_path / "lesions.tar", "w") as archive:
        header = tarfile.TarInfo("folder/lesion-7.nii")
        header.size = len(content)
        archive.addfile(header, io.BytesIO(content))
    ((name, volume),) = lesions.read_tar(tmp_path / "lesions.tar")
    assert name == "lesion-7" and volume.voxels.sum() == 8


def test_a_missing_archive_is_named_with_its_source(tmp_path: Path) -> None:
    folder = tmp_path / "atlas"
    folder.mkdir()
    affine_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lesions.FINE_GRID.affine_lps[:, [2, 1, 0, 3]]
    regions = nib.Nifti1Image(NO_REGIONS.transpose(2, 1, 0), affine_ras)
    nib.save(regions, folder / "aspects_regions_mni_1mm.nii.gz")
    with pytest.raises(FileNotFoundError, match="StrokeOutcome"):
        lesions.build_banks(tmp_path, tmp_path, progress=lambda line: None)


@pytest.mark.skipif(not SHARED.exists(), reason="the reference lesions are not at ../shared")
def test_the_first_real_acute_lesions_fit_the_grid() -> None:
    archive = lesions.read_tar(SHARED / "atlas" / "lesions" / "acute_lesions_mni.tar")
    for _, (name, volume) in zip(range(3), archive, strict=False):
        lesion = lesions.measure(name, volume, NO_REGIONS)
        assert lesion.volume_ml > 0 and lesion.mask.any()
