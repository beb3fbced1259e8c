"""Painted images: a random mean for each tissue, and lesions that can be seen."""

from __future__ import annotations

import torch

from willis_training.fitting.config import PaintingConfig
from willis_training.fitting.painting import paint

SHAPE = (12, 14, 16)


def head() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """An image of zeros, a lesion inside tissue 2, and air around tissues 1 and 2."""
    tissues = torch.zeros(1, *SHAPE, dtype=torch.uint8)
    tissues[:, 1:-1, 1:-1, 1:8] = 1
    tissues[:, 1:-1, 1:-1, 8:-1] = 2
    labels = torch.zeros_like(tissues)
    labels[:, 4:8, 4:8, 10:14] = 1
    return torch.zeros(1, 2, *SHAPE), labels, tissues


def painted(number: int, **settings: object) -> torch.Tensor:
    config = PaintingConfig.model_validate({"share": 1.0, **settings})
    return paint(*head(), (number,), config, seed=7)


def test_air_stays_zero_and_tissues_differ_from_sample_to_sample() -> None:
    _, _, tissues = head()
    first, second = painted(0), painted(1)

    assert not first[0, 0][tissues[0] == 0].any()
    means = [float(image[0, 0][tissues[0] == 1].mean()) for image in (first, second)]
    assert abs(means[0] - means[1]) > 0.01
    assert not first[0, 0].equal(first[0, 1])
    assert first.equal(painted(0))


def test_a_lesion_stands_off_its_surroundings_by_the_least_contrast() -> None:
    _, labels, tissues = head()
    around = (tissues[0] == 2) & (labels[0] == 0)

    for number in range(20):
        image = painted(number, min_contrast=3.0, sds=(0.05, 0.05))[0, 0]
        contrast = abs(float(image[labels[0] > 0].mean() - image[around].mean()))
        assert contrast > 3.0 * 0.05 * 0.8


def test_only_the_share_is_painted() -> None:
    changed = [bool(painted(number, share=0.5).any()) for number in range(40)]

    assert 10 < sum(changed) < 30
