"""Preparing a data set of one's own: one grid, one scale, labels where the image shows them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis_models.errors import InputError
from willis_training.datasets.base import Subject
from willis_training.fitting.preparations import PlainPreparation

AFFINE_RAS = np.diag([2.0, 2.0, 4.0, 1.0])
LAS = np.diag([-2.0, 2.0, 4.0, 1.0])


def subject(folder: Path, affine: np.ndarray = AFFINE_RAS, **images: np.ndarray) -> Subject:
    """Images (x, y, z) of a block on the patient's left, and its label."""
    block = np.zeros((20, 24, 10), dtype=np.float32)
    inside = slice(3, 9) if affine[0, 0] > 0 else slice(11, 17)
    block[inside, 8:16, 3:7] = 1.0
    paths = {}
    for role, scale in {"ncct": 50.0, **images}.items():
        paths[role] = folder / f"{role}.nii.gz"
        nib.save(nib.Nifti1Image(10.0 + np.float32(scale) * block, affine), paths[role])
    nib.save(nib.Nifti1Image(block.astype(np.uint8), affine), folder / "label.nii.gz")
    return Subject("sub-1", None, paths, folder / "label.nii.gz")


@pytest.mark.parametrize("affine", [AFFINE_RAS, LAS], ids=["RAS", "LAS"])
def test_labels_lie_on_the_voxels_that_show_them(tmp_path: Path, affine: np.ndarray) -> None:
    case = PlainPreparation(("ncct",), 2.0, (0.0, 80.0))(subject(tmp_path, affine))

    assert case.spacing_mm == pytest.approx((2.0, 2.0, 2.0))
    assert case.image[0][case.labels > 0].mean() > 0.6
    assert case.image[0][case.labels == 0].mean() < 0.2
    assert abs(int(case.labels.sum()) * 8.0 - 6 * 8 * 4 * 16.0) < 0.2 * 6 * 8 * 4 * 16.0


def test_a_window_scales_to_zero_and_one(tmp_path: Path) -> None:
    case = PlainPreparation(("ncct",), 2.0, (0.0, 40.0))(subject(tmp_path))

    assert float(case.image.max()) == 1.0
    assert case.image[case.image < 1].min() >= 0.0
    assert np.median(case.image) == pytest.approx(0.25)


def test_without_a_window_what_is_above_zero_has_mean_zero_and_sd_one(tmp_path: Path) -> None:
    values = PlainPreparation(("ncct",), 2.0)(subject(tmp_path)).image

    inside = values[values != 0]
    assert inside.mean() == pytest.approx(0.0, abs=1e-5)
    assert inside.std() == pytest.approx(1.0, abs=1e-5)


def test_each_role_is_a_channel_on_the_first_ones_grid(tmp_path: Path) -> None:
    case = PlainPreparation(("ncct", "cta"), 2.0, (0.0, 80.0))(subject(tmp_path, cta=20.0))

    assert case.image.shape[0] == 2
    assert case.image[0].max() > case.image[1].max()


def test_every_parameter_changes_the_digest() -> None:
    ways = [
        PlainPreparation(("ncct",), 2.0),
        PlainPreparation(("t1w",), 2.0),
        PlainPreparation(("ncct",), 1.0),
        PlainPreparation(("ncct",), 2.0, (0.0, 80.0)),
        PlainPreparation(("ncct",), 2.0, fill=-1.0),
    ]

    assert len({way.digest for way in ways}) == len(ways)
    assert PlainPreparation(("ncct",), 2.0).digest == ways[0].digest


def test_a_missing_or_an_empty_image_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no t1w"):
        PlainPreparation(("t1w",), 2.0)(subject(tmp_path))
    empty = subject(tmp_path, ncct=0.0)
    nib.save(nib.Nifti1Image(np.zeros((20, 24, 10), np.float32), AFFINE_RAS), empty.images["ncct"])
    with pytest.raises(InputError, match="nothing above 0"):
        PlainPreparation(("ncct",), 2.0)(empty)
