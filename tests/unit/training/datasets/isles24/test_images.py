from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.unit.training.datasets.isles24.tree import path_of, spoil, stored, subject_of
from willis_models.errors import InputError
from willis_training.datasets.isles24.example import SPACING_MM, save
from willis_training.datasets.isles24.images import (
    header_grid,
    is_same_grid,
    load_case,
    load_dynamic,
    load_still,
)
from willis_training.datasets.isles24.layout import MAPS


def test_a_case_comes_on_the_grid_of_its_ncct(train: Path) -> None:
    case, infarct = load_case(subject_of(train))
    assert set(case) == {"ncct", "cta", *MAPS}
    assert {image.stack.shape for image in case.values()} == {infarct.shape}
    assert case["cbf"].unit == "mL/(100.g)/min" and case["ncct"].unit is None
    truth = stored(path_of(train, "lesion-msk.nii.gz"))
    assert infarct.dtype == np.uint8 and np.array_equal(infarct, truth)


def test_a_map_with_other_spacing_is_resampled_in_memory_only(train: Path) -> None:
    before, infarct = load_case(subject_of(train), ("tmax",))
    path = spoil(train, "_tmax.nii.gz", lambda v: v[:, ::2, ::2], spacing_mm=(5.0, 6.4, 6.4),
                 shift_mm=(0.0, -1.6, -1.6))  # fmt: skip
    content = path.read_bytes()
    after, _ = load_case(subject_of(train), ("tmax",))
    assert after["tmax"].stack.shape == infarct.shape
    at_risk = before["tmax"].stack.voxels > 6
    both = at_risk & (after["tmax"].stack.voxels > 6)
    assert both.sum() > 0.7 * at_risk.sum()
    assert path.read_bytes() == content


def test_a_shifted_mask_is_moved_back_by_its_affine(train: Path) -> None:
    _, truth = load_case(subject_of(train))
    path = path_of(train, "lesion-msk.nii.gz")
    rolled = np.roll(stored(path), 2, axis=2)
    save(path, rolled, shift_mm=(0.0, 0.0, -2 * SPACING_MM[2]))
    assert np.array_equal(load_case(subject_of(train))[1], truth)


def test_an_affine_that_differs_by_rounding_is_the_same_grid(train: Path) -> None:
    path = path_of(train, "_tmax.nii.gz")
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 1] += 1e-5
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)
    reference = header_grid(path_of(train, "_ncct.nii.gz"))
    assert is_same_grid(reference, header_grid(path))
    affine[0, 3] += 0.2
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)
    assert not is_same_grid(reference, header_grid(path))


def test_a_mask_that_is_not_binary_is_refused(train: Path) -> None:
    spoil(train, "lesion-msk.nii.gz", lambda v: v * 2)
    with pytest.raises(InputError, match="other values than 0 and 1"):
        load_case(subject_of(train))
    spoil(train, "lesion-msk.nii.gz", lambda v: v.astype(np.float32) / 4)
    with pytest.raises(InputError, match="no whole numbers"):
        load_case(subject_of(train))


def test_four_axes_where_three_are_expected_are_refused(train: Path) -> None:
    spoil(train, "_cbf.nii.gz", lambda v: np.stack([v, v]))
    with pytest.raises(InputError, match="4 axes; the cbf image needs 3"):
        load_case(subject_of(train))


@pytest.mark.parametrize("ending", ["_cbf.nii.gz", "_ncct.nii.gz", "lesion-msk.nii.gz"])
def test_a_truncated_or_missing_file_is_an_input_that_can_be_set_aside(
    train: Path, ending: str
) -> None:
    path = path_of(train, ending)
    subject = subject_of(train)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="can't be read"):
        load_case(subject)
    path.unlink()
    with pytest.raises(InputError, match="can't be read"):
        load_case(subject)


def test_a_fourth_axis_with_one_entry_is_no_fault(train: Path) -> None:
    path = spoil(train, "_cbf.nii.gz", lambda v: v[None])
    assert load_still(path, "cbf").volume.voxels.ndim == 3


def test_values_that_are_no_numbers_become_background(train: Path) -> None:
    def broken(voxels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        voxels[10, 20:22, 20] = np.nan
        voxels[11, 20, 20] = np.inf
        return voxels

    loaded = load_still(spoil(train, "_mtt.nii.gz", broken), "mtt")
    assert loaded.not_finite == 3 and np.isfinite(loaded.volume.voxels).all()


def test_a_series_keeps_its_frames_and_the_time_between_them(train: Path) -> None:
    case, infarct = load_case(subject_of(train), ("ncct", "ctp"))
    dynamic = case["ctp"].dynamic
    assert dynamic is not None and dynamic.frames.shape == (30, *infarct.shape)
    assert dynamic.times_s[3, 0] == pytest.approx(6.0)
    assert np.array_equal(dynamic.frames[4], stored(path_of(train, "_ctp.nii.gz"))[4])


def test_a_series_on_another_grid_is_brought_to_the_ncct(train: Path) -> None:
    path = path_of(train, "_ctp.nii.gz")
    save(path, stored(path)[:3, 4:24], 2.0)
    case, infarct = load_case(subject_of(train), ("ctp",))
    dynamic = case["ctp"].dynamic
    assert dynamic is not None and dynamic.frames.shape == (3, *infarct.shape)
    assert dynamic.frames[0, 0].max() < -1000 < 0 < dynamic.frames[0, 14].max()


def test_a_series_that_tells_no_time_is_refused(train: Path) -> None:
    path = path_of(train, "_ctp.nii.gz")
    image = nib.load(path)
    image.header["pixdim"][4] = 0.0
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header), path)
    with pytest.raises(InputError, match="does not say how far its frames"):
        load_dynamic(path)
    with pytest.raises(InputError, match="a series needs 4"):
        load_dynamic(path_of(train, "_cbf.nii.gz"))


def test_a_lesion_on_the_left_stays_on_the_left_however_it_is_stored(train: Path) -> None:
    truth = load_case(subject_of(train))[1]
    for role in ("_ncct.nii.gz", "_tmax.nii.gz", "lesion-msk.nii.gz"):
        path = path_of(train, role)
        turn = nib.orientations.ornt_transform(
            nib.orientations.io_orientation(nib.load(path).affine),
            nib.orientations.axcodes2ornt(("R", "A", "S")),
        )
        nib.save(nib.load(path).as_reoriented(turn), path)
    case, infarct = load_case(subject_of(train), ("tmax",))
    assert np.array_equal(infarct, truth)
    assert (case["tmax"].stack.voxels[infarct > 0] > 5).mean() > 0.7
