"""Fresh infarcts and their mimics on the coarse grid."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.labelled_head import anatomy
from willis_training.simulation.pathology import (
    Stroke,
    covered_shares,
    draw_mimics,
    smooth_field,
    soft_edge,
)


def test_a_stroke_over_one_region_covers_that_region_and_no_other() -> None:
    mask = (anatomy().regions[::2, ::2, ::2] == 7).astype(np.float32)

    shares = covered_shares(Stroke(mask, 5.0), anatomy())

    assert shares[6] == 1.0
    assert np.delete(shares, 6).max() == 0.0


def test_a_stroke_over_half_of_a_regions_tissue_covers_half_of_it() -> None:
    tissue = (anatomy().regions[::2, ::2, ::2] == 7) & anatomy().parenchyma
    mask = np.zeros(tissue.shape, dtype=np.float32)
    hits = np.argwhere(tissue)[: tissue.sum() // 2]
    mask[tuple(hits.T)] = 1.0

    assert covered_shares(Stroke(mask, 5.0), anatomy())[6] == pytest.approx(0.5, abs=0.01)


def test_csf_does_not_count_as_covered_tissue() -> None:
    mask = (~anatomy().parenchyma).astype(np.float32)

    assert covered_shares(Stroke(mask, 5.0), anatomy()).max() == 0.0


def test_the_drops_edge_is_soft_and_its_middle_is_about_one() -> None:
    mask = np.zeros((30, 30, 30), dtype=np.float32)
    mask[5:25, 5:25, 5:25] = 1.0

    edge = soft_edge(Stroke(mask, 5.0), np.random.default_rng(0))

    assert edge[10:20, 10:20, 10:20].mean() == pytest.approx(1.0, abs=0.15)
    assert 0.2 < edge[5, 15, 15] < 0.9
    assert edge[0].max() < 0.01


def test_a_smooth_field_has_its_mean_and_changes_slowly() -> None:
    field = smooth_field((60, 60, 60), np.random.default_rng(0), 6.0, 1.0, 10.0)

    assert field.mean() == pytest.approx(10.0, abs=0.1)
    assert field.std() == pytest.approx(0.55, abs=0.25)
    assert np.abs(np.diff(field, axis=0)).max() < 1.5


def test_mimics_are_repeatable_and_stay_inside_the_brain() -> None:
    for seed in range(8):
        found = draw_mimics(anatomy(), np.random.default_rng(seed))
        again = draw_mimics(anatomy(), np.random.default_rng(seed))

        np.testing.assert_array_equal(found.added_hu, again.added_hu)
        np.testing.assert_array_equal(found.replaced_weight, again.replaced_weight)
        assert ((found.replaced_weight >= 0) & (found.replaced_weight <= 1)).all()
        assert not found.added_hu[anatomy().coarse_labels == 0].any()


def test_an_old_infarct_is_replaced_by_fluid_where_it_lies() -> None:
    old = (anatomy().regions[::2, ::2, ::2] == 16).astype(np.float32)

    found = draw_mimics(anatomy(), np.random.default_rng(3), old)

    assert found.replaced_weight[old == 1].mean() > 0.6
    assert 5.0 <= found.replaced_hu.flat[0] <= 20.0
