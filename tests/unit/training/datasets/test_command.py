from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.unit.training.datasets.published_trees import atlas_v2, left_lesion, write
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.cli import app
from willis_training.datasets.splits import load_folds

RUN = CliRunner()


def test_check_passes_a_sound_data_set_and_fails_a_broken_one(tmp_path: Path) -> None:
    atlas = atlas_v2(tmp_path, sites=1, subjects=2)
    arguments = ["data", "check", "atlas-v2", str(atlas), "--workers", "1"]
    assert RUN.invoke(app, arguments).exit_code == 0
    mask = next(atlas.rglob("sub-r001s002*mask.nii.gz"))
    write(mask, left_lesion() * 0)
    report = tmp_path / "faults.json"
    result = RUN.invoke(app, [*arguments, "--report", str(report)])
    assert result.exit_code == 1
    assert "LABEL_EMPTY" in result.output and mask.name in result.output
    assert json.loads(report.read_text())[0]["file"] == str(mask)
    assert RUN.invoke(app, [*arguments, "--allow", "LABEL_EMPTY"]).exit_code == 0


def test_card_writes_page_figures_and_numbers(tmp_path: Path) -> None:
    atlas, out = atlas_v2(tmp_path, sites=1, subjects=2), tmp_path / "card"
    arguments = ["data", "card", "atlas-v2", str(atlas), "--out", str(out), "--workers", "1"]
    assert RUN.invoke(app, arguments).exit_code == 0
    assert INTENDED_USE_STATEMENT in (out / "card.md").read_text()
    assert json.loads((out / "card.json").read_text())["examinations"] == 4
    assert (out / "card.png").read_bytes().startswith(b"\x89PNG")


def test_split_leaves_out_each_site_in_turn(tmp_path: Path) -> None:
    atlas, out = atlas_v2(tmp_path), tmp_path / "folds.json"
    arguments = ["data", "split", "atlas-v2", str(atlas), "--out", str(out), "--workers", "1"]
    result = RUN.invoke(app, [*arguments, "--by", "leave-one-site-out"])
    assert result.exit_code == 0, result.output
    folds = load_folds(out)
    assert [fold.name for fold in folds] == ["without_R001", "without_R002", "without_R003"]
    assert json.loads(out.read_text())["by"] == "leave-one-site-out"


def test_a_wrong_folder_or_kind_is_told_in_a_sentence(tmp_path: Path) -> None:
    wrong_folder = RUN.invoke(app, ["data", "card", "atlas-v2", str(tmp_path)])
    wrong_kind = RUN.invoke(app, ["data", "card", "isles", str(tmp_path)])
    assert wrong_folder.exit_code == wrong_kind.exit_code == 2
    assert "Give the unpacked" in " ".join(wrong_folder.output.split())
    assert "Traceback" not in wrong_folder.output + wrong_kind.output
