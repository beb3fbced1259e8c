from __future__ import annotations

import numpy as np

from willis_service.adapters.web.slices import informative_slices

NOTHING = np.zeros(40, int)
TISSUE = np.r_[np.zeros(5, int), np.full(30, 100), np.full(5, 10)]


def test_without_a_lesion_the_slices_lie_evenly_over_the_tissue():
    assert informative_slices(TISSUE, NOTHING, 6) == [5, 11, 17, 22, 28, 34]


def test_the_largest_cross_section_of_a_lesion_is_always_shown():
    lesion = NOTHING.copy()
    lesion[10:30], lesion[17] = 5, 50

    shown = informative_slices(TISSUE, lesion, 6)

    assert 17 in shown and len(shown) == 6
    assert (shown[0], shown[-1]) == (10, 29)


def test_a_small_lesion_is_shown_with_its_neighbours():
    lesion = NOTHING.copy()
    lesion[39] = 3

    assert informative_slices(TISSUE, lesion, 6) == [34, 35, 36, 37, 38, 39]


def test_a_scan_of_few_slices_shows_them_all():
    assert informative_slices(np.full(4, 9), np.zeros(4, int), 12) == [0, 1, 2, 3]


def test_a_stack_without_any_tissue_still_has_slices_to_show():
    assert informative_slices(np.zeros(3, int), np.zeros(3, int), 2) == [0, 2]
