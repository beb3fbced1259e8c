"""Volumes, ratios and sides from maps with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from willis_models.perfusion.maps import PerfusionMaps
from willis_models.perfusion.numbers import PerfusionNumbers, Regions, numbers_of
from willis_models.perfusion.parameters import DEFAULTS
from willis_models.volume import Array, SliceStack

SHAPE = (4, 40, 60)
PIXEL_MM = 4.0
TISSUE = np.ones(SHAPE, bool)


def stack(distances_mm: tuple[float, ...] = (0.0, 5.0, 10.0, 15.0)) -> SliceStack:
    """Columns run to the patient's left; the middle of the tissue is at x = 0."""
    half = PIXEL_MM * (SHAPE[2] - 1) / 2
    origins = np.array([[-half, -80.0, d] for d in distances_mm])
    steps = np.array([PIXEL_MM, 0.0, 0.0]), np.array([0.0, PIXEL_MM, 0.0])
    return SliceStack(np.zeros(SHAPE, np.float32), origins, *steps)


VOXEL_ML = 4 * 4 * 5 / 1000


def maps(**changes: Array | None) -> PerfusionMaps:
    """Normal everywhere; on the left (high x) 400 voxels late, 100 of them without flow."""
    cbf, tmax = np.full(SHAPE, 20.0, np.float32), np.full(SHAPE, 2.0, np.float32)
    cbv = np.full(SHAPE, 2.5, np.float32)
    tmax[:2, 10:20, 40:60] = 7.0
    tmax[:2, 10:15, 40:50] = 11.0
    cbf[:2, 10:20, 40:60] = 9.0
    cbf[:2, 10:15, 40:50] = 3.0
    cbv[:2, 10:20, 40:60] = 2.0
    ready = {"cbf": cbf, "cbv": cbv, "mtt": None, "tmax": tmax, "ttp": None}
    return PerfusionMaps(**{**ready, **changes})


def measured(
    ready: PerfusionMaps, tissue: Array = TISSUE, where: SliceStack | None = None
) -> tuple[PerfusionNumbers, Regions]:
    return numbers_of(ready, tissue, where or stack(), DEFAULTS.numbers)


def test_core_penumbra_and_mismatch_are_volumes_in_ml() -> None:
    numbers, regions = measured(maps())
    assert numbers.core_ml == pytest.approx(100 * VOXEL_ML)
    assert numbers.hypoperfused_ml == pytest.approx(400 * VOXEL_ML)
    assert numbers.penumbra_ml == pytest.approx(300 * VOXEL_ML)
    assert numbers.mismatch_ml == pytest.approx(300 * VOXEL_ML)
    assert numbers.mismatch_ratio == pytest.approx(4.0)
    assert regions.core is not None and regions.penumbra is not None
    assert not (regions.core & regions.penumbra).any()


def test_every_threshold_has_its_volume() -> None:
    numbers, _ = measured(maps())
    late, latest = 400 * VOXEL_ML, 100 * VOXEL_ML
    assert numbers.tmax_ml == pytest.approx({4.0: late, 6.0: late, 8.0: latest, 10.0: latest})
    assert numbers.rcbf_ml == pytest.approx(
        {20.0: latest, 30.0: latest, 34.0: latest, 38.0: latest}
    )


def test_collateral_figures() -> None:
    numbers, _ = measured(maps())
    assert numbers.hir == pytest.approx(0.25)
    assert numbers.cbv_index == pytest.approx(2.0 / 2.5)


def test_flow_is_relative_to_tissue_of_the_other_side_that_fills_in_time() -> None:
    ready = maps()
    assert ready.cbf is not None
    ready.cbf[..., 30:][ready.cbf[..., 30:] == 20.0] = 30.0
    numbers, regions = measured(ready)
    assert numbers.normal_cbf == pytest.approx(20.0)
    assert numbers.reference == "tissue with normal Tmax on the right side"
    assert regions.relative_cbf is not None
    assert regions.relative_cbf[3, 0, 59] == pytest.approx(1.5)


def test_a_lesion_on_the_left_is_on_the_left_however_the_columns_run() -> None:
    assert measured(maps())[0].side == "left"
    half = PIXEL_MM * (SHAPE[2] - 1) / 2
    origins = np.array([[half, -80.0, d] for d in (0.0, 5.0, 10.0, 15.0)])
    steps = np.array([-PIXEL_MM, 0.0, 0.0]), np.array([0.0, PIXEL_MM, 0.0])
    mirrored = SliceStack(np.zeros(SHAPE, np.float32), origins[::-1], *steps)
    assert measured(maps(), where=mirrored)[0].side == "right"


def test_each_slice_counts_with_its_own_thickness() -> None:
    wide = stack((0.0, 10.0, 20.0, 30.0))
    assert measured(maps(), where=wide)[0].core_ml == pytest.approx(200 * VOXEL_ML)
    uneven = stack((0.0, 5.0, 15.0, 25.0))  # extents 5, 7.5, 10, 10
    assert measured(maps(), where=uneven)[0].core_ml == pytest.approx(50 * 0.08 + 50 * 0.12)


def test_small_components_are_dropped() -> None:
    ready = maps()
    assert ready.tmax is not None
    ready.tmax[3, 30:33, 5:8] = 12.0  # .72 mL
    numbers, _ = measured(ready)
    assert numbers.hypoperfused_ml == pytest.approx(400 * VOXEL_ML)
    ready.tmax[3, 30:34, 5:9] = 12.0  # 1.28 mL
    assert measured(ready)[0].hypoperfused_ml == pytest.approx(416 * VOXEL_ML)


def test_low_flow_without_delay_is_no_core() -> None:
    """Old infarcts and white matter have little flow too."""
    ready = maps()
    assert ready.cbf is not None
    ready.cbf[3, 20:30, 10:20] = 2.0
    assert measured(ready)[0].core_ml == pytest.approx(100 * VOXEL_ML)


def test_what_is_not_tissue_counts_nowhere() -> None:
    tissue = TISSUE.copy()
    tissue[:2, 10:15, 40:50] = False
    numbers, _ = measured(maps(), tissue=tissue)
    assert numbers.core_ml == 0.0
    assert numbers.hypoperfused_ml == pytest.approx(300 * VOXEL_ML)


def test_nan_outside_the_tissue_does_no_harm() -> None:
    tissue = TISSUE.copy()
    tissue[:, :, :5] = False
    ready = maps()
    for image in (ready.cbf, ready.cbv, ready.tmax):
        assert image is not None
        image[~tissue] = np.nan
    assert measured(ready, tissue=tissue)[0].core_ml == pytest.approx(100 * VOXEL_ML)


def test_without_a_core_there_is_no_ratio_and_it_says_so() -> None:
    numbers, _ = measured(maps(cbf=np.full(SHAPE, 20.0, np.float32)))
    assert numbers.core_ml == 0.0
    assert numbers.mismatch_ml == pytest.approx(400 * VOXEL_ML)
    assert numbers.mismatch_ratio is None
    assert "No core" in numbers.mismatch_note


def test_a_healthy_brain_has_zeros_and_no_side() -> None:
    healthy = PerfusionMaps(
        cbf=np.full(SHAPE, 20.0, np.float32),
        cbv=np.full(SHAPE, 2.5, np.float32),
        mtt=None,
        tmax=np.full(SHAPE, 2.0, np.float32),
        ttp=None,
    )
    numbers, _ = measured(healthy)
    assert numbers.hypoperfused_ml == 0.0
    assert numbers.mismatch_ratio is None
    assert numbers.hir is None
    assert numbers.cbv_index is None
    assert numbers.side is None


def test_without_tmax_there_is_low_flow_but_no_mismatch() -> None:
    numbers, regions = measured(maps(tmax=None))
    assert numbers.rcbf_ml is not None
    assert numbers.rcbf_ml[30.0] == pytest.approx(100 * VOXEL_ML)
    assert numbers.tmax_ml is None
    assert numbers.mismatch_ml is None
    assert numbers.hir is None
    assert regions.penumbra is None
    assert "Not assessable" in numbers.mismatch_note


def test_without_flow_there_is_delay_but_no_core() -> None:
    numbers, regions = measured(maps(cbf=None))
    assert numbers.tmax_ml is not None
    assert numbers.core_ml is None
    assert numbers.rcbf_ml is None
    assert numbers.mismatch_ratio is None
    assert regions.core is None
    assert numbers.side == "left"


def test_without_any_map_every_number_is_missing() -> None:
    numbers, _ = measured(PerfusionMaps(None, None, None, None, None))
    assert numbers.core_ml is None
    assert numbers.tmax_ml is None
    assert numbers.cbv_index is None


def test_an_empty_tissue_mask_has_no_numbers_to_go_wrong() -> None:
    numbers, _ = measured(maps(), tissue=np.zeros(SHAPE, bool))
    assert numbers.hypoperfused_ml == 0.0
    assert numbers.normal_cbf is None
    assert numbers.core_ml is None
