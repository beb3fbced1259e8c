"""What the region network is shown while it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.unit.training.aspects.tiny_cases import INTENSITY, SHAPE, case, fill
from willis_models.pipelines.aspects.prepare import normalise
from willis_training.aspects.regions_data import CasePool, draw_sample, service_input


def test_the_service_input_is_stripped_and_normalised_as_prepare_does_it() -> None:
    stored = case()

    image = service_input(stored, INTENSITY)

    expected = normalise(np.where(stored.brain, stored.hu, 0).astype(np.float32), INTENSITY)
    np.testing.assert_array_equal(image, expected)
    assert not image[~stored.brain].any()


def test_a_sample_is_one_hemisphere_with_left_labels_only() -> None:
    seen = set()
    for seed in range(30):
        image, labels = draw_sample(case(raw=True), INTENSITY, np.random.default_rng(seed))
        assert image.shape == (1, *SHAPE[:2], SHAPE[2] // 2 + 8)
        assert labels.shape == image.shape[1:]
        assert 0.0 <= float(image.min()) <= float(image.max()) <= 1.0
        seen |= set(labels.unique().tolist())

    assert seen == set(range(11))


def test_the_same_generator_gives_the_same_sample() -> None:
    first, again = (draw_sample(case(), INTENSITY, np.random.default_rng(4)) for _ in range(2))

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


def test_labels_follow_the_image_through_every_deformation() -> None:
    marked = replace(case(), hu=(8 * ((case().regions - 1) % 10 + 1) % 88).astype(np.int16))
    marked = replace(marked, hu=np.where(marked.regions > 0, marked.hu, 0).astype(np.int16))
    for seed in range(10):
        image, labels = draw_sample(marked, INTENSITY, np.random.default_rng(seed))
        means = [float(image[0][labels == n].mean()) for n in range(1, 11) if (labels == n).any()]

        assert np.corrcoef(means, np.arange(len(means)))[0, 1] > 0.9


def test_every_head_is_equally_likely_however_many_cases_it_has(tmp_path: Path) -> None:
    fill(tmp_path, ("head_01",), count=6)
    fill(tmp_path, ("head_02",), count=1)
    pool, rng = CasePool(tmp_path, ("head_01", "head_02")), np.random.default_rng(0)

    drawn = [pool.draw(rng).head for _ in range(200)]

    assert 70 < drawn.count("head_02") < 130


def test_a_pool_holds_its_own_heads_and_takes_in_what_is_added(tmp_path: Path) -> None:
    fill(tmp_path, ("head_01", "head_04"))
    pool = CasePool(tmp_path, ("head_01",))

    assert {item.head for item in pool} == {"head_01"}
    fill(tmp_path, ("head_01",), count=3)
    assert pool.refresh() == 3
