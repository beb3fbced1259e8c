"""What the region network is shown while it learns."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests.unit.training.aspects.tiny_cases import INTENSITY, SHAPE, case, fill
from willis_models.pipelines.aspects.prepare import normalise
from willis_training.aspects.cases import TrainingCase, save_case
from willis_training.aspects.regions_data import CasePool, RegionLesson, service_input
from willis_training.aspects.regions_fit import region_config
from willis_training.fitting.lesson import collate


def lesson(folder: Path, taught: TrainingCase | None = None) -> RegionLesson:
    """A lesson of one training and one validation head."""
    fill(folder, ("head_07",), count=3)
    save_case(taught or case(raw=True), folder / "head_01_0000.npz")
    pools = (CasePool(folder, (head,)) for head in ("head_01", "head_07"))
    return RegionLesson(*pools, INTENSITY, region_config(folder / "run", grid_shape=SHAPE))


def test_the_service_input_is_stripped_and_normalised_as_prepare_does_it() -> None:
    stored = case()

    image = service_input(stored, INTENSITY)

    expected = normalise(np.where(stored.brain, stored.hu, 0).astype(np.float32), INTENSITY)
    np.testing.assert_array_equal(image, expected)
    assert not image[~stored.brain].any()


def test_a_sample_is_one_hemisphere_with_left_labels_only(tmp_path: Path) -> None:
    taught, seen = lesson(tmp_path), set()
    for number in range(15):
        batch = collate([taught.sample(2 * number), taught.sample(2 * number + 1)])
        images, labels = taught.change(batch)
        assert images.shape == (2, 1, *SHAPE[:2], SHAPE[2] // 2 + 8)
        assert labels.shape == (2, *images.shape[2:])
        assert 0.0 <= float(images.min()) <= float(images.max()) <= 1.0
        seen |= set(labels.unique().tolist())

    assert seen == set(range(11))
    assert taught.config.network.patch == (*images.shape[2:],)


def test_the_same_number_gives_the_same_sample(tmp_path: Path) -> None:
    taught = lesson(tmp_path)

    first, again = (taught.change(collate([taught.sample(4)])) for _ in range(2))
    other, _ = taught.change(collate([taught.sample(5)]))

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other)


def test_labels_follow_the_image_through_every_deformation(tmp_path: Path) -> None:
    marked = replace(case(), hu=(8 * ((case().regions - 1) % 10 + 1) % 88).astype(np.int16))
    marked = replace(marked, hu=np.where(marked.regions > 0, marked.hu, 0).astype(np.int16))
    taught = lesson(tmp_path, marked)
    for number in range(10):
        images, labels = taught.change(collate([taught.sample(number)]))
        image, found = images[0, 0], labels[0]
        means = [float(image[found == n].mean()) for n in range(1, 11) if (found == n).any()]

        assert np.corrcoef(means, np.arange(len(means)))[0, 1] > 0.9


def test_every_head_is_equally_likely_however_many_cases_it_has(tmp_path: Path) -> None:
    fill(tmp_path, ("head_01",), count=6)
    fill(tmp_path, ("head_02",), count=1)
    pool, rng = CasePool(tmp_path, ("head_01", "head_02")), np.random.default_rng(0)

    drawn = [pool.draw(rng).head for _ in range(200)]

    assert 70 < drawn.count("head_02") < 130


def test_a_pool_holds_its_own_heads_and_another_process_reads_the_same(tmp_path: Path) -> None:
    fill(tmp_path, ("head_01", "head_04"))
    pool = CasePool(tmp_path, ("head_01",))

    assert {item.head for item in pool} == {"head_01"}
    assert pickle.loads(pickle.dumps(pool)).digest == pool.digest
    fill(tmp_path, ("head_01",), count=3)
    assert CasePool(tmp_path, ("head_01",)).digest != pool.digest


def test_validation_sees_both_hemispheres_as_the_service_would(tmp_path: Path) -> None:
    taught = lesson(tmp_path)

    shares = [list(taught.validation(slice(rank, None, 2))) for rank in (0, 1)]

    assert [[found.name for found in share] for share in shares] == [
        ["head_07_0000", "head_07_0002"],
        ["head_07_0001"],
    ]
    first = shares[0][0]
    np.testing.assert_array_equal(first.image[0], service_input(case("head_07", 0), INTENSITY))
    assert set(np.unique(first.labels)) == set(range(21))
    assert taught.label_names[11] == "right_C"
