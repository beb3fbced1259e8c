"""The changelog of a model: one entry a version, newest first."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.training.publication.drafts import manifest
from willis_models.manifest import Manifest
from willis_training.publication.changelog import note_version


def version(number: str, dice: float | None = None, **changes: object) -> Manifest:
    weights = {"model.onnx": "c" * 64}
    return Manifest.model_validate(manifest(number, dice, files_sha256=weights, **changes))


def headings(path: Path) -> list[str]:
    return re.findall(r"^## (\S+)", path.read_text(), re.MULTILINE)


def test_the_newest_version_comes_first(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    first, second = version("0.1.0", 0.8), version("0.2.0", 0.9)
    note_version(tmp_path, first, None, None)

    path = note_version(tmp_path, second, first, "Thinner slices.")

    assert headings(path) == ["0.2.0", "0.1.0"]
    text = path.read_text()
    assert "- Thinner slices." in text
    assert "- Dice 0.9 (0.1.0: 0.8), volume error 1 (0.1.0: 1) on 5 cases" in text
    assert "Research use only" in text and "Performance on patients: not measured." in text


def test_a_version_published_again_has_one_entry(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    note_version(tmp_path, version("0.1.0"), None, "First try.")
    note_version(tmp_path, version("0.1.10"), None, None)

    path = note_version(tmp_path, version("0.1.0"), None, "Second try.")

    assert headings(path) == ["0.1.0", "0.1.10"]
    assert "First try" not in path.read_text()


def test_it_says_which_code_and_data_made_the_version(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    source = {"commit": "1234abcd", "data_sha256": "d" * 64}

    path = note_version(tmp_path, version("0.1.0", provenance=source), None, None)

    assert "Trained by 1234abcd on data dddddddddddd." in path.read_text()
    assert "Not judged on a frozen test set." in path.read_text()
