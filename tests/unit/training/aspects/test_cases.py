"""Training cases: made from their name alone, and split by head and by lesion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.aspects.tiny_cases import bank, case
from tests.unit.training.labelled_head import anatomy, coarse_points
from willis_models.runtime.bundle import latest_bundle
from willis_training.aspects.cases import (
    Lesions,
    draw_scan,
    draw_stroke,
    lesion_of,
    load_case,
    make_cases,
    save_case,
    seed_of,
)
from willis_training.aspects.recipe import draft_manifest
from willis_training.curation.heads import save_head
from willis_training.datasets.lesions import save_bank

LESIONS = Lesions(bank(), bank())


def test_the_seed_of_a_case_is_the_same_on_every_machine() -> None:
    assert seed_of("head_01", 0) == 1880839133797866475
    assert seed_of("head_01", 1) != seed_of("head_01", 0) != seed_of("head_02", 0)


@pytest.mark.parametrize(
    ("part", "in_front"), [("train", True), ("test", False)], ids=["training", "test"]
)
def test_a_stroke_comes_from_its_own_part_of_the_bank(part: str, in_front: bool) -> None:
    rng = np.random.default_rng(0)

    for _ in range(12):
        mask = draw_stroke(anatomy(), LESIONS.acute, part, rng).mask > 0.5
        y_mm = coarse_points()[mask][:, 1]
        assert (y_mm < 0).all() if in_front else (y_mm > 0).all()


@pytest.mark.parametrize(
    ("head", "affected_columns"),
    [("head_01", {0, 1, 2}), ("head_07", {0, 1, 2}), ("head_04", {2, 3, 4})],
    ids=["training head", "validation head", "test head"],
)
def test_only_test_heads_draw_test_lesions(head: str, affected_columns: set[int]) -> None:
    found = set()
    for number in range(8):
        scan = draw_scan(anatomy(head), LESIONS, number, matrix=24, stroke_share=1.0)
        found |= {int(label) % 5 for label in np.flatnonzero(scan.covered > 0.1)}

    assert found
    assert found <= affected_columns


def test_strokes_are_one_sided_and_mirrored_half_the_time() -> None:
    rng = np.random.default_rng(1)
    sides = []
    for _ in range(30):
        x_mm = coarse_points()[draw_stroke(anatomy(), LESIONS.acute, "train", rng).mask > 0.5][:, 0]
        assert (x_mm > 0).all() or (x_mm < 0).all()
        sides.append(bool(x_mm[0] > 0))

    assert 8 < sum(sides) < 22


def test_a_case_is_the_same_whenever_it_is_drawn() -> None:
    first, again = (draw_scan(anatomy(), LESIONS, 3, matrix=24) for _ in range(2))

    np.testing.assert_array_equal(first.stack.voxels, again.stack.voxels)
    np.testing.assert_array_equal(first.covered, again.covered)


def test_some_cases_have_no_stroke() -> None:
    drawn = [draw_scan(anatomy(), LESIONS, n, matrix=24, stroke_share=0.0) for n in range(3)]

    assert not any(scan.affected.any() or scan.drop_hu for scan in drawn)


@pytest.mark.parametrize("raw", [False, True])
def test_a_case_reads_back_as_it_was_saved(tmp_path: Path, raw: bool) -> None:
    stored = case(raw=raw)
    save_case(stored, tmp_path / "head_01_0000.npz")

    found = load_case(tmp_path / "head_01_0000.npz")

    assert (found.head, found.drop_hu) == (stored.head, stored.drop_hu)
    for name in ("hu", "brain", "covered_grid", "regions", "covered"):
        np.testing.assert_array_equal(getattr(found, name), getattr(stored, name))
    assert (found.raw_hu is None) != raw
    assert [path.name for path in tmp_path.iterdir()] == ["head_01_0000.npz"]


def test_what_the_service_would_reject_is_reported_and_left_out(tmp_path: Path) -> None:
    save_bank(LESIONS.acute, tmp_path / "lesions_acute.npz")
    save_bank(LESIONS.chronic, tmp_path / "lesions_chronic.npz")
    whole = anatomy("head_01").head
    without_skull = replace(whole, labels=np.where(whole.labels == 515, 511, whole.labels))
    head = save_head(without_skull, tmp_path)
    said: list[str] = []

    make_cases(
        [head], range(1), tmp_path, draft_manifest(), latest_bundle("aspects").assets, said.append
    )

    assert not list((tmp_path / "cases").iterdir())
    assert said[0].startswith("head_01 0: rejected as BRAIN_NOT_PLAUSIBLE")


def test_cases_that_are_there_already_are_kept(tmp_path: Path) -> None:
    save_bank(LESIONS.acute, tmp_path / "lesions_acute.npz")
    save_bank(LESIONS.chronic, tmp_path / "lesions_chronic.npz")
    (tmp_path / "cases").mkdir()
    kept = tmp_path / "cases" / "head_01_0000.npz"
    kept.write_bytes(b"made before")
    said: list[str] = []

    make_cases([tmp_path / "head_01.npz"], range(1), tmp_path, draft_manifest(), {}, said.append)

    assert kept.read_bytes() == b"made before"
    assert said == []


def test_the_lesion_of_a_case_can_be_named_again() -> None:
    """Split by lesion: a case keeps no name, its seed knows it."""
    names = {n: lesion_of(anatomy(), LESIONS, n) for n in range(12)}

    assert set(names.values()) == {None, LESIONS.acute.names[0]}
    for number, name in names.items():
        has_stroke = draw_scan(anatomy(), LESIONS, number, matrix=24).drop_hu > 0
        assert has_stroke == (name is not None)
