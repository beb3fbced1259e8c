"""Evidence of a region against its mirror, and what is left out of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.models.phantoms import shipped_parameters
from tests.unit.models.pipelines.aspects.heads import (
    GRID,
    added,
    healthy_head,
    painted,
    region_labels,
)
from willis_models.pipelines.aspects.features import FEATURES, RegionEvidence, measure, mirror_of
from willis_models.pipelines.aspects.head import HeadInTemplate

LABELS = region_labels()
M2 = 6


def evidence(head: HeadInTemplate, labels: np.ndarray = LABELS) -> dict[int, RegionEvidence]:
    return {item.label: item for item in measure(head, labels, shipped_parameters().tissue)}


def feature(item: RegionEvidence, name: str) -> float:
    assert item.features is not None
    return float(item.features[FEATURES.index(name)])


def test_a_left_region_four_hu_darker_differs_by_plus_four_there_and_minus_four_opposite() -> None:
    found = evidence(added(healthy_head(), LABELS == M2, -4.0))

    assert found[M2].difference_hu == pytest.approx(4.0, abs=0.2)
    assert found[M2 + 10].difference_hu == pytest.approx(-4.0, abs=0.2)
    assert found[M2].ratio == pytest.approx(30 / 34, abs=0.01)
    assert feature(found[M2], "difference_hu") == pytest.approx(found[M2].difference_hu)
    assert feature(found[M2], "median_difference_hu") == pytest.approx(4.0, abs=0.3)
    assert (
        feature(found[M2], "local_mean_hu") > 2.0 > -2.0 > feature(found[M2 + 10], "local_mean_hu")
    )


def test_the_other_regions_of_a_dark_ones_side_know_of_it() -> None:
    found = evidence(added(healthy_head(), LABELS == M2, -4.0))

    assert feature(found[1], "side_largest_hu") == pytest.approx(
        feature(found[M2], "local_mean_hu")
    )
    assert feature(found[11], "side_largest_hu") < 0.5
    assert abs(feature(found[1], "difference_hu")) < 0.3


def test_a_healthy_head_shows_no_difference_anywhere() -> None:
    found = evidence(healthy_head())

    assert len(found) == 20
    assert all(abs(item.difference_hu) < 0.3 for item in found.values())
    assert all(
        item.reason is None and item.features.shape == (len(FEATURES),) for item in found.values()
    )


def test_mirroring_the_head_swaps_the_sides_exactly() -> None:
    head = added(healthy_head(), LABELS == M2, -4.0)
    mirrored = replace(head, hu=head.hu[..., ::-1].copy())

    straight, swapped = evidence(head), evidence(mirrored)

    for label in range(1, 21):
        there = swapped[mirror_of(label)]
        np.testing.assert_allclose(there.features, straight[label].features, atol=1e-4)
        assert there.counted == straight[label].counted


@pytest.mark.parametrize(
    ("hu", "kind"), [(5.0, "csf"), (90.0, "calcification")], ids=["CSF", "calcification"]
)
def test_what_is_no_tissue_is_counted_apart_and_does_not_change_the_mean(
    hu: float, kind: str
) -> None:
    strip = np.zeros(GRID.shape, dtype=bool)
    # A sheet one voxel thick: too thin for an old infarct.
    strip[:, :, 30] = True
    region = LABELS == M2
    head = painted(healthy_head(), strip & region, hu)

    found = evidence(head)

    assert getattr(found[M2], kind) == (strip & region).sum()
    assert found[M2].counted == region.sum() - (strip & region).sum()
    assert found[M2].difference_hu == pytest.approx(0.0, abs=0.3)
    assert getattr(found[M2 + 10], kind) == 0


def test_a_bulky_old_infarct_is_counted_apart_and_not_called_fresh() -> None:
    old = np.zeros(GRID.shape, dtype=bool)
    region = LABELS == M2
    z, y, x = (int(axis.min()) for axis in np.nonzero(region))
    old[z : z + 6, y + 1 : y + 6, x + 1 : x + 6] = True
    found = evidence(painted(healthy_head(), old, 12.0))

    assert found[M2].old_infarct == pytest.approx(old.sum(), rel=0.05)
    assert found[M2].csf == 0
    assert found[M2].difference_hu == pytest.approx(0.0, abs=0.3)


def test_a_region_with_much_old_infarct_and_its_mirror_are_left_open() -> None:
    """Gliosis around an old infarct is as dark as fresh ischaemia."""
    region = LABELS == M2
    old = region & (np.cumsum(region, axis=1) <= 0.4 * region.sum(axis=1, keepdims=True))
    found = evidence(painted(healthy_head(), old, 12.0))

    assert found[M2].features is None
    assert found[M2].reason.startswith("An old infarct takes")
    assert found[M2 + 10].features is None
    assert "on the other side" in found[M2 + 10].reason


def test_a_region_that_is_mostly_csf_can_not_be_assessed() -> None:
    region = LABELS == M2
    found = evidence(painted(healthy_head(), region, 5.0))

    assert found[M2].features is None
    assert "Too little assessable tissue: CSF" in found[M2].reason
    assert "on the other side" in found[M2 + 10].reason
    assert found[M2].mean_hu is None
    assert found[M2].difference_hu is None


def test_a_region_that_the_scan_does_not_cover_can_not_be_assessed() -> None:
    head = healthy_head()
    covered = head.covered.copy()
    covered[11:] = False

    found = evidence(replace(head, covered=covered))

    assert {n for n, item in found.items() if item.features is None} == {
        *range(6, 11),
        *range(16, 21),
    }
    assert found[M2].reason == "The scan does not cover the region."
    assert found[1].reason is None


def test_a_region_that_was_not_found_is_not_assessable_on_either_side() -> None:
    labels = np.where(LABELS == M2, 0, LABELS)

    found = evidence(healthy_head(), labels)

    assert found[M2].reason == found[M2 + 10].reason == "The region was not found on both sides."
    assert found[M2].voxels == 0


def test_an_empty_head_gives_reasons_and_no_figures() -> None:
    nothing = replace(healthy_head(), brain=np.zeros(GRID.shape, dtype=bool))

    found = evidence(nothing)

    assert all(item.features is None and item.reason for item in found.values())
