"""NIfTI in any orientation: what is on the patient's left stays there."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.synthetic_ct import MARKER_HU, MARKER_LPS_MM, head_hu
from willis_models.errors import DecodingError, GeometryError, UnsuitableSeries
from willis_models.pipelines.base import InputImage
from willis_service.adapters.nifti.reader import read_nifti, write_like

ORIENTATIONS = ("RAS", "LAS", "PSR", "PSL", "LPI", "ASR")
SPACING_MM = {"x": 4.0, "y": 4.5, "z": 6.0}


def write_head(folder: Path, orientation: str = "RAS", *, suffix: str = ".nii.gz") -> Path:
    """A head with a dense marker on the patient's left, stored in this axis order."""
    x, y, z = np.mgrid[-100:100:4, -110:110:4.5, -70:75:6.0]
    hu = head_hu(np.stack([-x, -y, z], axis=-1), marker=True)
    affine = np.diag([4.0, 4.5, 6.0, 1.0])
    affine[:3, 3] = (-100, -110, -70)
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
    )
    image = nib.Nifti1Image(hu, affine).as_reoriented(turn)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    path = folder / f"{orientation}{suffix}"
    nib.save(image, path)
    return path


def marker_lps(image: InputImage) -> np.ndarray:
    index = np.argwhere(image.stack.voxels == MARKER_HU)
    return image.stack.to_world(index).mean(axis=0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_marker_on_the_patients_left_is_found_there_in_any_orientation(
    tmp_path: Path, orientation: str
) -> None:
    image = read_nifti(write_head(tmp_path, orientation))

    np.testing.assert_allclose(marker_lps(image), MARKER_LPS_MM, atol=2.0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_slice_axis_is_the_one_closest_to_superior_inferior(
    tmp_path: Path, orientation: str
) -> None:
    stack = read_nifti(write_head(tmp_path, orientation)).stack

    assert abs(stack.normal_lps[2]) == pytest.approx(1.0)
    assert stack.slice_steps_mm == pytest.approx(SPACING_MM["z"])
    assert stack.pixel_spacing_mm == pytest.approx((SPACING_MM["y"], SPACING_MM["x"]))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_labels_go_back_to_the_voxels_that_they_came_from(tmp_path: Path, orientation: str) -> None:
    source = write_head(tmp_path, orientation)
    labels = (read_nifti(source).stack.voxels == MARKER_HU).astype(np.uint8)

    write_like(tmp_path / "labels.nii.gz", labels, source)

    original, written = nib.load(source), nib.load(tmp_path / "labels.nii.gz")
    assert np.array_equal(np.asarray(written.dataobj) == 1, original.get_fdata() == MARKER_HU)
    np.testing.assert_allclose(written.affine, original.affine, atol=1e-5)


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    source = write_head(tmp_path)

    with pytest.raises(GeometryError, match="don't fit"):
        write_like(tmp_path / "labels.nii", np.zeros((3, 4, 5), np.uint8), source)


def test_an_oblique_image_keeps_the_markers_place(tmp_path: Path) -> None:
    path = write_head(tmp_path, "RAS", suffix=".nii")
    image = nib.load(path, mmap=False)
    angle = np.radians(20)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = nib.Nifti1Image(np.asarray(image.dataobj), turn @ image.affine)
    nib.save(turned, path)

    expected_ras = turn[:3, :3] @ (np.array(MARKER_LPS_MM) * (-1, -1, 1))
    found = marker_lps(read_nifti(path))

    np.testing.assert_allclose(found, expected_ras * (-1, -1, 1), atol=2.0)


def test_whole_numbers_stay_int16_and_scaled_ones_become_float(tmp_path: Path) -> None:
    voxels = np.full((10, 11, 12), -1000, np.float32)
    whole, broken = tmp_path / "whole.nii", tmp_path / "broken.nii"
    nib.save(_with_affine(voxels), whole)
    nib.save(_with_affine(voxels + 0.25), broken)

    assert read_nifti(whole).stack.voxels.dtype == np.int16
    assert read_nifti(broken).stack.voxels.dtype == np.float32
    assert read_nifti(broken).stack.voxels == pytest.approx(-999.75)


def test_padding_and_values_that_are_no_number_count_as_air(tmp_path: Path) -> None:
    voxels = np.zeros((10, 10, 10), np.float32)
    voxels[0], voxels[1] = np.nan, -3024
    nib.save(_with_affine(voxels), tmp_path / "padded.nii")

    image = read_nifti(tmp_path / "padded.nii")

    assert (image.stack.voxels == -1024).sum() == 200
    item = next(i for i in image.acquisition.source_items if i.code == "PADDING_REPLACED")
    assert item.value == pytest.approx(20.0)


def test_an_image_without_air_is_flagged(tmp_path: Path) -> None:
    nib.save(_with_affine(np.full((10, 10, 10), 40, np.uint8)), tmp_path / "picture.nii")

    codes = {item.code for item in read_nifti(tmp_path / "picture.nii").acquisition.source_items}

    assert "HU_NOT_EVIDENT" in codes


def test_four_dimensions_are_refused(tmp_path: Path) -> None:
    nib.save(_with_affine(np.zeros((5, 5, 5, 3), np.int16)), tmp_path / "4d.nii")

    with pytest.raises(UnsuitableSeries, match="5 x 5 x 5 x 3"):
        read_nifti(tmp_path / "4d.nii")


def test_a_fourth_dimension_of_one_is_taken_as_three(tmp_path: Path) -> None:
    nib.save(_with_affine(np.zeros((5, 6, 7, 1), np.int16)), tmp_path / "4d.nii")

    assert read_nifti(tmp_path / "4d.nii").stack.shape == (7, 6, 5)


def test_an_image_that_does_not_tell_left_from_right_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((5, 5, 5), np.int16), None)
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "nowhere.nii")

    with pytest.raises(GeometryError, match="left and right"):
        read_nifti(tmp_path / "nowhere.nii")


def test_sform_and_qform_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    image = _with_affine(np.zeros((5, 5, 5), np.int16))
    image.set_qform(np.diag([-1.0, 1, 1, 1]), code=1)
    nib.save(image, tmp_path / "torn.nii")

    with pytest.raises(GeometryError, match="disagree"):
        read_nifti(tmp_path / "torn.nii")


@pytest.mark.parametrize("content", [b"", b"not an image at all" * 50])
def test_a_file_that_is_no_nifti_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.nii").write_bytes(content)

    with pytest.raises(DecodingError):
        read_nifti(tmp_path / "bad.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_that_ends_too_early_is_refused(tmp_path: Path, suffix: str) -> None:
    path = write_head(tmp_path, suffix=suffix)
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(DecodingError):
        read_nifti(path)


def _with_affine(voxels: np.ndarray) -> nib.Nifti1Image:
    image = nib.Nifti1Image(voxels, np.eye(4))
    image.set_sform(np.eye(4), code=1)
    image.set_qform(np.eye(4), code=1)
    return image
