from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.training.aspects.tiny_cases import case, fill
from willis_models.runtime.bundle import Bundle
from willis_training.aspects import recipe
from willis_training.scores.features import ALL_FEATURES
from willis_training.scores.table import NO_LESION, StudyReader, join_studies


class Labeller:
    """Gives the true labels of the tiny case, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += 1
        return np.eye(21, dtype=np.float32)[case().regions].transpose(3, 0, 1, 2)


def reader(folder: Path, labeller: Labeller) -> StudyReader:
    manifest = recipe.draft_manifest().model_copy(update={"files_sha256": {"model.onnx": "0" * 64}})
    return StudyReader(
        Bundle(folder, manifest),
        labeller,
        lambda head, number: f"lesion_{number}" if number else None,
        folder / "studies",
    )


def test_the_table_has_truth_head_and_lesion_of_every_region(tmp_path: Path) -> None:
    studies = sorted(fill(tmp_path / "cases", ("head_01", "head_02")).iterdir())
    table = join_studies([reader(tmp_path, Labeller()).read(path) for path in studies])
    assert len(table) == 4 * 20
    assert table.names == ALL_FEATURES
    assert set(table.rows.head) == {"head_01", "head_02"}
    assert sorted(set(table.lesion)) == [NO_LESION, "lesion_1"]
    assert (table.rows.covered[:20] == case().covered).all()
    assert table.rows.left[:20].tolist() == [True] * 10 + [False] * 10
    assert table.rows.region[:20].tolist() == [*range(10)] * 2


def test_a_measured_study_is_not_measured_again(tmp_path: Path) -> None:
    study = next(fill(tmp_path / "cases", ("head_01",)).iterdir())
    labeller = Labeller()
    first = reader(tmp_path, labeller).read(study)
    second = reader(tmp_path, labeller).read(study)
    assert labeller.asked == 1
    assert (first["features"] == second["features"]).all()


def test_a_study_that_changed_is_measured_anew(tmp_path: Path) -> None:
    folder = fill(tmp_path / "cases", ("head_01",), count=2)
    labeller = Labeller()
    one, other = sorted(folder.iterdir())
    before = reader(tmp_path, labeller).read(one)
    one.write_bytes(other.read_bytes())
    after = reader(tmp_path, labeller).read(one)
    assert labeller.asked == 2
    assert not (before["features"] == after["features"]).all()


def test_the_digest_follows_the_content(tmp_path: Path) -> None:
    studies = sorted(fill(tmp_path / "cases", ("head_01",)).iterdir())
    rows = [reader(tmp_path, Labeller()).read(path) for path in studies]
    assert join_studies(rows).digest == join_studies(rows).digest
    assert join_studies(rows).digest != join_studies(rows[:1]).digest
