from dataclasses import replace

import numpy as np

from willis_models.volume import Volume
from willis_training.curation import label_transfer as transfer

IDENTITY = np.array(
    [[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)

GOOD = transfer.TransferQuality(
    jacobian_min=0.5,
    jacobian_p01=0.6,
    jacobian_p99=1.5,
    folded_fraction=0.0,
    affine_scale=1.1,
    inverse_error_mean_mm=0.02,
    inverse_error_p95_mm=0.05,
    dice_lentiform=0.8,
    dice_lentiform_affine=0.7,
    dice_grey=0.7,
    dice_white=0.7,
    dice_csf=0.3,
    volumes_ml=(3.0,) * 20,
)


def left_hemisphere() -> np.ndarray:
    """White matter of a left hemisphere with a caudate, a lentiform nucleus and a thalamus."""
    labels = np.full((24, 40, 40), 2)
    labels[:, 10:14, 4:8] = 11
    labels[:, 18:24, 8:14] = 12
    labels[:, 26:30, 2:8] = 10
    return labels


def certain(region: int, where: tuple[slice, ...], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Twenty probability maps of which one is certain somewhere."""
    maps = [np.zeros(shape, dtype=np.float32) for _ in range(20)]
    maps[region - 1][where] = 1.0
    return maps


def test_a_good_transfer_passes_and_gives_no_reason() -> None:
    assert GOOD.passes(transfer.TransferLimits())
    assert GOOD.failures(transfer.TransferLimits()) == ()


def test_a_folding_warp_and_a_missed_nucleus_are_named() -> None:
    poor = replace(GOOD, jacobian_min=-0.1, dice_lentiform=0.3)
    reasons = poor.failures(transfer.TransferLimits())
    assert reasons == ("the warp folds", "the lentiform nuclei do not meet")


def test_caudate_and_lentiform_are_the_heads_own_wherever_the_atlas_puts_them() -> None:
    labels = left_hemisphere()
    wrong = certain(1, (slice(None), slice(30, 36), slice(20, 30)), labels.shape)
    regions = transfer.carve_regions(labels, wrong)
    np.testing.assert_array_equal(regions == 1, labels == 11)
    np.testing.assert_array_equal(regions == 2, labels == 12)


def test_the_internal_capsule_does_not_swallow_nuclei_or_thalamus() -> None:
    labels = left_hemisphere()
    broad = certain(4, (slice(6, 18), slice(8, 34), slice(3, 16)), labels.shape)
    capsule = transfer.carve_regions(labels, broad) == 4
    assert capsule.any()
    assert set(np.unique(labels[capsule])) == {2}


def test_a_left_region_never_reaches_the_right_hemisphere() -> None:
    labels = left_hemisphere()
    labels[:, :, :20] = 41
    across = certain(6, (slice(None), slice(10, 30), slice(10, 30)), labels.shape)
    cortical = transfer.carve_regions(labels, across) == 6
    assert cortical.any() and not cortical[..., :20].any()


def test_an_island_of_a_region_is_dropped() -> None:
    labels = left_hemisphere()
    maps = certain(8, (slice(4, 20), slice(4, 20), slice(20, 34)), labels.shape)
    maps[7][10:12, 30:32, 30:32] = 1.0
    regions = transfer.carve_regions(labels, maps)
    assert (regions[4:20, 4:20, 20:34] == 8).any() and not (regions[:, 28:] == 8).any()


def test_closing_bridges_a_narrow_gap_and_leaves_a_wide_one() -> None:
    mask = np.ones((20, 20, 40), dtype=bool)
    mask[..., 10:14] = False
    mask[..., 20:32] = False
    closed = transfer.close(mask, 3.0)
    assert closed[10, 10, 10:14].all() and not closed[10, 10, 24:28].any()


def test_regions_are_carried_to_where_the_field_points() -> None:
    voxels = np.zeros((20, 24, 28), dtype=np.uint8)
    voxels[6:14, 8:16, 10:20] = 7
    voxels[0, 0, :] = [*range(1, 21), *[0] * 8]
    smooth = transfer.smooth_regions(Volume(voxels, IDENTITY))
    z, y, x = np.indices((20, 24, 28), dtype=np.float32)
    positions = np.stack([x + 3.0, y, z], axis=-1)
    carried = transfer.region_probabilities(smooth, positions)[6]
    middle = np.argwhere(carried > 0.5).mean(axis=0)
    np.testing.assert_allclose(middle, [9.5, 11.5, 11.5], atol=0.1)


def test_the_surface_grows_within_its_slice_and_outside_the_brain_only() -> None:
    regions = np.zeros((3, 20, 30), dtype=np.uint8)
    regions[1, 5:15, 5:15] = 6
    brain = np.zeros_like(regions, dtype=bool)
    brain[:, :, :15] = True
    grown = transfer.extend_to_surface(regions, brain, reach_mm=4.0)
    assert (grown[1, 5:15, 15:19] == 6).all()
    assert not grown[0].any() and not (grown[1, :, :5] == 6).any() and not grown[1, :, 20:].any()


def test_a_uniform_stretch_has_its_determinant_everywhere() -> None:
    z, y, x = np.indices((8, 9, 10), dtype=np.float32) * 2.0
    stretch = np.stack([0.1 * x, 0.2 * y, -0.5 * z], axis=-1)
    determinant = transfer.jacobian_determinant(stretch, 2.0)
    np.testing.assert_allclose(determinant, 1.1 * 1.2 * 0.5, rtol=1e-4)


def test_a_shift_and_its_opposite_cancel() -> None:
    shift = np.zeros((10, 10, 10, 3), dtype=np.float32)
    shift[..., 0] = 3.0
    assert transfer.inverse_error_mm(shift, -shift, 2.0).max() < 1e-5
    np.testing.assert_allclose(transfer.inverse_error_mm(shift, shift, 2.0), 6.0)


def test_the_painted_brain_is_bright_where_it_is_white_and_empty_outside() -> None:
    labels = np.zeros((20, 20, 20), dtype=np.int32)
    labels[4:16, 4:16, 4:16] = 2
    labels[0] = 515
    painted = transfer.paint_t1(labels)
    assert painted[10, 10, 10] == 1.0 and painted[0].max() == 0.0
