from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from willis_models.volume import SliceStack
from willis_training.curation.outlines import (
    Filling,
    fill_outline,
    interpolate_skipped,
    pieces_of,
    points_lps,
    without_specks,
)
from willis_training.metrics import dice

FILLING = Filling(3, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0), 0.8, 10.0)
PIXEL_MM = (0.5, 0.5)


def wedge() -> np.ndarray:
    """A cortical region as ASPECTS has them: a wedge with a dent, 160 x 160 pixels of 0.5 mm."""
    y, x = np.mgrid[:160, :160].astype(float)
    radius, angle = np.hypot(y - 80, x - 20), np.arctan2(y - 80, x - 20)
    ring = (radius > 60) & (radius < 110) & (np.abs(angle) < 0.5)
    return ring & (np.hypot(y - 60, x - 85) > 8)


def outline_of(area: np.ndarray) -> np.ndarray:
    return area & ~ndimage.binary_erosion(area)


def with_gap(outline: np.ndarray, centre: tuple[int, int], radius_px: float) -> np.ndarray:
    y, x = np.mgrid[: outline.shape[0], : outline.shape[1]]
    return outline & (np.hypot(y - centre[0], x - centre[1]) > radius_px)


def test_a_whole_outline_gives_its_area() -> None:
    area = wedge()
    assert dice(fill_outline(outline_of(area), PIXEL_MM, FILLING), area) > 0.97


@pytest.mark.parametrize("gap_mm", [2.0, 4.0, 8.0])
def test_an_outline_with_gaps_gives_nearly_its_area(gap_mm: float) -> None:
    area = wedge()
    broken = outline_of(area)
    for centre in np.argwhere(broken)[:: int(broken.sum()) // 3]:
        broken = with_gap(broken, tuple(centre), gap_mm / 2 / PIXEL_MM[0])
    assert dice(fill_outline(broken, PIXEL_MM, FILLING), area) > 0.93


def test_specks_leave_no_trace() -> None:
    area = wedge()
    noisy = outline_of(area)
    noisy[5, 5] = noisy[150, 10] = noisy[80, 100] = True
    clean = fill_outline(outline_of(area), PIXEL_MM, FILLING)
    np.testing.assert_array_equal(fill_outline(noisy, PIXEL_MM, FILLING), clean)
    np.testing.assert_array_equal(without_specks(noisy, 3), without_specks(outline_of(area), 3))


def test_a_strip_two_pixels_wide_survives() -> None:
    strip = np.zeros((40, 80), dtype=bool)
    strip[20:22, 10:60] = True
    np.testing.assert_array_equal(fill_outline(strip, (1.0, 1.0), FILLING), strip)


def test_a_line_that_encloses_nothing_is_no_area() -> None:
    line = np.zeros((100, 100), dtype=bool)
    line[50, 5:95] = True
    assert not fill_outline(line, PIXEL_MM, FILLING).any()
    assert not fill_outline(np.zeros_like(line), PIXEL_MM, FILLING).any()


def test_both_sides_in_one_plane_are_two_outlines() -> None:
    area = np.zeros((60, 120), dtype=bool)
    area[20:40, 20:40] = area[20:40, 80:100] = True
    pieces = pieces_of(outline_of(area), PIXEL_MM, FILLING)
    filled = [fill_outline(piece, PIXEL_MM, FILLING) for piece in pieces]
    assert [int(one.sum()) for one in filled] == [400, 400]
    np.testing.assert_array_equal(filled[0] | filled[1], area)


def test_points_lie_where_the_tilted_slice_lies_in_the_patient() -> None:
    column = np.array([0.0, np.cos(0.3), np.sin(0.3)]) * 0.5
    origins = np.array([[10.0, 20.0, 30.0], [10.0, 20.0, 35.0]])
    stack = SliceStack(np.zeros((2, 8, 8)), origins, np.array([0.5, 0, 0]), column)
    outline = np.zeros((8, 8), dtype=bool)
    outline[3, 2] = True
    found = points_lps(outline, stack, 1)
    np.testing.assert_allclose(found, [origins[1] + 3 * column + [1.0, 0, 0]])


def test_skipped_slices_are_interpolated_by_shape_up_to_a_distance() -> None:
    y, x = np.mgrid[:64, :64]
    disc = {r: np.hypot(y - 32, x - 32) < r for r in (10, 20)}
    along = np.array([0.0, 5.0, 10.0, 40.0])
    answer = interpolate_skipped([disc[10], None, disc[20], None], along, 12.0)
    assert answer[1] is not None and answer[3] is None
    assert np.sqrt(answer[1].sum() / np.pi) == pytest.approx(15.0, abs=0.6)
    assert interpolate_skipped([disc[10], None, None, disc[20]], along, 12.0)[1] is None
