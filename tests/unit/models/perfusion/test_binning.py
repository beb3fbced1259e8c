"""Binning and smoothing in plane."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.perfusion.binning import (
    Smoother,
    bin_series,
    bounding_box,
    gaussian_matrix,
    unbin,
)
from willis_models.volume import DynamicStack


def series(pixel_mm: float, rows: int = 6, columns: int = 8) -> DynamicStack:
    frames = np.arange(3 * 2 * rows * columns, dtype=np.int16).reshape(3, 2, rows, columns)
    return DynamicStack(
        frames,
        np.arange(3.0)[:, None].repeat(2, axis=1),
        np.array([[-10.0, -20.0, 0.0], [-10.0, -20.0, 5.0]]),
        np.array([pixel_mm, 0.0, 0.0]),
        np.array([0.0, pixel_mm, 0.0]),
    )


def test_small_pixels_are_averaged_until_they_are_large_enough() -> None:
    dynamic = series(0.45)
    binned = bin_series(dynamic, 0.8)
    assert binned.factor == 2
    assert binned.frames.dtype == np.float32
    assert binned.frames[1, 1, 2, 3] == dynamic.frames[1, 1, 4:6, 6:8].mean()


def test_a_bin_lies_in_the_middle_of_its_pixels() -> None:
    dynamic = series(0.45)
    binned = bin_series(dynamic, 0.8)
    native = dynamic.still(dynamic.frames[0])
    middle = native.to_world(np.array([[1.0, 2.0, 4.0], [1.0, 3.0, 5.0]])).mean(axis=0)
    assert np.allclose(binned.geometry.to_world(np.array([1.0, 1.0, 2.0])), middle)


def test_large_pixels_stay_as_they_are() -> None:
    dynamic = series(0.9)
    binned = bin_series(dynamic, 0.8)
    assert binned.factor == 1
    assert np.array_equal(binned.frames, dynamic.frames)


def test_rows_that_fill_no_bin_are_left_out_and_come_back_as_their_neighbours() -> None:
    binned = bin_series(series(0.45, rows=7, columns=9), 0.8)
    assert binned.frames.shape == (3, 2, 3, 4)
    wide = unbin(binned.frames[0], 2, (2, 7, 9))
    assert wide.shape == (2, 7, 9)
    assert np.array_equal(wide[:, 6], wide[:, 5])


def test_the_lattice_of_even_steps_meets_every_slice_of_an_even_stack() -> None:
    binned = bin_series(series(0.45), 0.8)
    index = np.array([1.0, 2.0, 3.0])
    by_affine = binned.affine_lps[:3, :3] @ index + binned.affine_lps[:3, 3]
    assert np.allclose(by_affine, binned.geometry.to_world(index))


def test_smoothing_keeps_the_mean_and_widens_a_point_by_sigma() -> None:
    matrix = gaussian_matrix(101, 3.0)
    line = matrix[:, 50]
    assert line.sum() == pytest.approx(1.0, abs=1e-5)
    spread = np.sqrt((line * (np.arange(101) - 50) ** 2).sum())
    assert spread == pytest.approx(3.0, rel=0.02)


def test_bone_beside_the_mask_never_bleeds_in() -> None:
    image = np.full((40, 40), 30.0, np.float32)
    image[:10] = 1500.0
    mask = np.zeros((40, 40), bool)
    mask[10:] = True
    smooth = Smoother.within(mask, 4.0, (1.0, 1.0))(image[None])[0]
    assert np.allclose(smooth[mask], 30.0, atol=1e-3)


def test_no_smoothing_leaves_the_images_as_they_are() -> None:
    image = np.random.default_rng(0).random((2, 5, 6), dtype=np.float32)
    assert np.allclose(Smoother.within(np.ones((5, 6), bool), 0.0, (1.0, 1.0))(image), image)


def test_the_box_of_an_empty_mask_is_empty() -> None:
    rows, columns = bounding_box(np.zeros((4, 4), bool))
    assert np.zeros((4, 4))[rows, columns].size == 0
