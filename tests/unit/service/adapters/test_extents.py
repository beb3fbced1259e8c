"""Where images lie, by their headers alone, in DICOM and in NIfTI."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.synthetic_ctp import Ctp, at_once
from willis_service.adapters.dicom.extent import extent_of_series
from willis_service.adapters.nifti.extent import extent_of_image
from willis_service.domain.extent import Extent


def test_a_series_reaches_to_the_edges_of_its_outer_voxels(tmp_path: Path) -> None:
    """16 pixels of 10 mm from -80 mm, four slices of 5 mm from 0 mm."""
    extent = extent_of_series(Ctp(at_once(2, 4)).write(tmp_path))

    assert extent == Extent((-85.0, -85.0, -2.5), (75.0, 75.0, 17.5))
    assert str(extent) == "x -85 to 75, y -85 to 75, z -2 to 18 mm"


@pytest.mark.parametrize(
    ("place", "inside"), [((0, 0, 0), True), ((-85, 75, 17.5), True), ((0, 0, 18), False)]
)
def test_a_place_is_inside_on_all_axes_or_not_at_all(
    place: tuple[float, ...], inside: bool
) -> None:
    assert Extent((-85.0, -85.0, -2.5), (75.0, 75.0, 17.5)).holds(place) is inside


def test_files_that_are_no_images_lie_nowhere(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear colleague")
    (tmp_path / "scan.nii").write_text("Dear colleague")

    assert extent_of_series([tmp_path / "letter.txt"]) is None
    assert extent_of_image(tmp_path / "scan.nii") is None


@pytest.mark.parametrize("shape", [(10, 20, 5), (10, 20, 5, 3)])
def test_a_nifti_image_is_turned_to_the_patients_axes(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    """RAS in the file: x runs to the right, so its far end is the patient's right, -x in LPS."""
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:3, 3] = (11.0, 21.5, 32.0)
    nib.save(nib.Nifti1Image(np.zeros(shape, np.int16), affine), tmp_path / "scan.nii")

    extent = extent_of_image(tmp_path / "scan.nii")

    assert extent == Extent((-30.0, -80.0, 30.0), (-10.0, -20.0, 50.0))
