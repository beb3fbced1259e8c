from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_ct import MARKER_HU, MARKER_LPS_MM, write_ct_series
from willis_models.errors import DuplicateSlices, GeometryError, MissingSlices
from willis_models.volume import Volume
from willis_training.curation.archive.read_series import read_series
from willis_training.curation.archive.regular import regular_volume
from willis_training.curation.nifti import decode_nifti, encode_nifti

SHAPE = (28, 64, 64)


def read(folder: Path, **how):
    paths = write_ct_series(folder, shape=how.pop("shape", SHAPE), noise_hu=0.0, **how)
    return read_series([str(path) for path in paths])


def marker_of(volume: Volume) -> np.ndarray:
    """Centre of the dense sphere, LPS mm: bone is denser and thus left out."""
    inside = (volume.voxels > 55) & (volume.voxels < 120)
    points = volume.grid.to_world(np.argwhere(inside))
    near = np.linalg.norm(points - MARKER_LPS_MM, axis=1) < 25
    return points[near].mean(axis=0)


def test_slices_are_ordered_by_position_and_padding_is_air(tmp_path: Path) -> None:
    stack = read(tmp_path, padding=-2000).stack
    assert (np.diff(stack.distances_mm) > 0).all()
    assert stack.voxels.dtype == np.int16 and stack.voxels[:, 0, 0].max() == -1024


@pytest.mark.parametrize(
    ("how", "tilted", "resampled"),
    [
        ({}, False, False),
        ({"tilt_deg": 18.0}, True, False),
        ({"steps_mm": [3.0] * 12 + [6.0] * 15}, False, True),
        ({"tilt_deg": -12.0, "steps_mm": [4.0] * 12 + [6.0] * 15}, True, True),
        ({"orientation": (0.98, 0.199, 0.0, -0.199, 0.98, 0.0)}, False, False),
    ],
)
def test_a_point_of_the_head_stays_where_it_was_scanned(
    tmp_path: Path, how: dict, tilted: bool, resampled: bool
) -> None:
    stack = read(tmp_path, marker=True, **how).stack
    image = regular_volume(stack)
    assert (image.tilt_corrected, image.steps_resampled) == (tilted, resampled)
    axes = image.volume.affine_lps[:3, :3] / image.volume.grid.spacing_mm
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    np.testing.assert_allclose(marker_of(image.volume), MARKER_LPS_MM, atol=2.5)
    assert np.percentile(image.volume.voxels, 99.9) >= MARKER_HU - 5


def test_straightening_keeps_every_slice_plane_and_every_slice(tmp_path: Path) -> None:
    stack = read(tmp_path, tilt_deg=18.0).stack
    grid = regular_volume(stack).volume.grid
    assert grid.shape[0] == stack.shape[0]
    planes = [grid.to_world(np.array([k, 0, 0])) @ stack.normal_lps for k in range(grid.shape[0])]
    np.testing.assert_allclose(planes, stack.distances_mm, atol=0.05)


def test_an_even_series_keeps_its_very_voxels(tmp_path: Path) -> None:
    stack = read(tmp_path).stack
    np.testing.assert_array_equal(regular_volume(stack).volume.voxels, stack.voxels)


def test_a_nifti_comes_back_with_the_same_voxels_in_the_same_place(tmp_path: Path) -> None:
    volume = regular_volume(read(tmp_path, tilt_deg=18.0).stack).volume
    content = encode_nifti(volume)
    again = decode_nifti(content)
    np.testing.assert_array_equal(again.voxels, volume.voxels)
    np.testing.assert_allclose(again.affine_lps, volume.affine_lps, atol=1e-4)
    assert content == encode_nifti(volume)


def test_a_gap_a_copy_and_a_turned_slice_are_errors(tmp_path: Path) -> None:
    with pytest.raises(MissingSlices):
        read(tmp_path / "gap", missing=[9])
    with pytest.raises(DuplicateSlices):
        read(tmp_path / "copy", conflicting=[9])

    def turn(k, dataset) -> None:
        if k == 4:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0.9, 0.436]

    with pytest.raises(GeometryError, match="orientation"):
        read(tmp_path / "turned", edit=turn)


def test_a_change_of_step_with_the_slice_thickness_is_no_gap(tmp_path: Path) -> None:
    def thicken(k, dataset) -> None:
        dataset.SliceThickness = 3.0 if k < 13 else 7.0

    stack = read(tmp_path, steps_mm=[3.0] * 12 + [7.0] * 15, edit=thicken).stack
    assert stack.shape[0] == 28
