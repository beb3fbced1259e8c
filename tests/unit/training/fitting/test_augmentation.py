"""Augmentation moves labels with the image, keeps to its limits, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from willis_training.fitting.augmentation import augment, recolour
from willis_training.fitting.config import AugmentationConfig
from willis_training.fitting.streams import Stream, generator, torch_generator

SHAPE = (16, 20, 24)
CPU = torch.device("cpu")


def marked() -> tuple[torch.Tensor, torch.Tensor]:
    """Two samples of a box of ones on zeros, and the box as label."""
    labels = torch.zeros(2, *SHAPE, dtype=torch.uint8)
    labels[:, 4:11, 6:15, 7:19] = 1
    return labels[:, None].float(), labels


def changed(
    shape: tuple[int, ...] = SHAPE, **settings: object
) -> tuple[torch.Tensor, torch.Tensor]:
    config = AugmentationConfig.model_validate(settings)
    return augment(*marked(), (4, 9), config, shape, 7)


def coloured(image: torch.Tensor, number: int = 0, **settings: object) -> torch.Tensor:
    config = AugmentationConfig.model_validate(settings)
    noise = torch_generator(7, Stream.AUGMENTATION, number, CPU)
    return recolour(image, config, generator(7, Stream.AUGMENTATION, number), noise)


def test_without_settings_nothing_changes() -> None:
    images, labels = changed()

    torch.testing.assert_close(images, marked()[0], atol=1e-5, rtol=0)
    assert labels.equal(marked()[1].long())


def test_a_larger_input_is_cut_to_its_middle() -> None:
    images, labels = changed((8, 10, 12))

    torch.testing.assert_close(images, marked()[0][..., 4:12, 5:15, 6:18], atol=1e-5, rtol=0)
    assert labels.equal(marked()[1][..., 4:12, 5:15, 6:18].long())


@pytest.mark.parametrize(
    "settings",
    [
        {"rotation_deg": 25},
        {"scaling": 0.2},
        {"linear_sd": 0.05},
        {"shift_sd": 0.1},
        {"warp_sd": 0.05},
        {"flip_axes": (0, 1, 2)},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_labels_follow_the_image_through_every_deformation(settings: dict) -> None:
    images, labels = changed(**settings)

    assert not labels.equal(marked()[1].long())
    apart = (images[:, 0] > 0.5) != (labels > 0)
    assert apart.float().mean() < 0.01


def test_a_turn_keeps_sizes_on_a_grid_that_is_no_cube() -> None:
    _, labels = changed(rotation_deg=25)

    before = int(marked()[1][0].sum())
    assert all(abs(int(sample.sum()) - before) < 0.06 * before for sample in labels)


def test_an_axis_that_may_not_flip_never_does() -> None:
    image = torch.arange(SHAPE[2], dtype=torch.float32).expand(1, 1, *SHAPE).contiguous()
    labels = torch.zeros(1, *SHAPE, dtype=torch.uint8)
    config = AugmentationConfig(flip_axes=(0, 1))

    for number in range(20):
        found, _ = augment(image, labels, (number,), config, SHAPE, 7)
        torch.testing.assert_close(found, image, atol=1e-3, rtol=0)


def test_samples_depend_on_their_own_number_not_on_their_place_in_the_batch() -> None:
    settings = AugmentationConfig(rotation_deg=20, noise=0.1, noise_share=1.0, bias_sd=0.1)
    images, labels = marked()

    together, _ = augment(images, labels, (4, 9), settings, SHAPE, 7)
    alone, _ = augment(images[1:], labels[1:], (9,), settings, SHAPE, 7)
    other_seed, _ = augment(images[1:], labels[1:], (9,), settings, SHAPE, 8)

    assert together[1].equal(alone[0])
    assert not together[1].equal(other_seed[0])


def test_noise_has_no_more_than_its_sd_and_only_its_share_gets_any() -> None:
    still = torch.full((1, *SHAPE), 0.5)

    sds = [float(coloured(still, n, noise=0.1, noise_share=0.6).std()) for n in range(60)]

    assert max(sds) < 0.11
    assert 0.4 < np.mean([sd > 0 for sd in sds]) < 0.8


def test_thick_slices_are_averages_along_z_only() -> None:
    image = torch.rand((1, *SHAPE), generator=torch.Generator().manual_seed(0))

    found = [coloured(image, n, slice_voxels=4, slice_share=1.0) for n in range(12)]

    assert any(not one.equal(image) for one in found)
    for one in found:
        assert one.shape == image.shape
        torch.testing.assert_close(one.mean(dim=1), image.mean(dim=1), atol=0.12, rtol=0)
        assert one.diff(dim=1).abs().mean() <= image.diff(dim=1).abs().mean() + 1e-6


def test_background_stays_zero_and_values_stay_in_range() -> None:
    image, _ = marked()
    settings = {"offset_sd": 2.0, "contrast": 0.5, "noise": 0.5, "noise_share": 1.0}

    found = coloured(image[0], zero_is_background=True, clip=(0.0, 1.0), **settings)

    assert not found[image[0] == 0].any()
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0


LEFT_OUT = [{"channels": [1, 3], "share": 0.4}, {"channels": [2], "share": 0.1}]


def five_channels(numbers: tuple[int, ...]) -> torch.Tensor:
    """Samples of ones in five channels, as they come out when two inputs may be missing."""
    images = torch.ones(len(numbers), 5, 4, 4, 4)
    labels = torch.zeros(len(numbers), 4, 4, 4, dtype=torch.uint8)
    config = AugmentationConfig.model_validate({"left_out": LEFT_OUT})
    return augment(images, labels, numbers, config, (4, 4, 4), 7)[0]


def test_inputs_are_left_out_as_often_as_asked_with_all_their_channels_and_no_others() -> None:
    found = five_channels(tuple(range(400)))

    gone = (found == 0).all(dim=(2, 3, 4))
    assert gone.equal(~(found != 0).any(dim=(2, 3, 4))), "never in part"
    assert gone[:, 1].equal(gone[:, 3])
    assert gone.float().mean(dim=0).tolist() == pytest.approx([0, 0.4, 0.1, 0.4, 0], abs=0.07)


def test_what_is_left_out_depends_on_the_number_of_the_sample_alone() -> None:
    together, alone = five_channels((4, 9, 11)), five_channels((11,))

    torch.testing.assert_close(together[2:], alone)


@pytest.mark.parametrize("settings", [{"contrast": 0.2}, {"gamma": 0.3}, {"bias_sd": 0.2}])
def test_contrast_gamma_and_bias_change_values_but_not_their_order_along_a_ramp(
    settings: dict,
) -> None:
    ramp = torch.linspace(0.1, 0.9, SHAPE[2]).expand(1, *SHAPE)

    found = coloured(ramp, 3, **settings)

    assert not torch.allclose(found, ramp, atol=1e-3)
    assert np.corrcoef(found.flatten(), ramp.flatten())[0, 1] > 0.8
