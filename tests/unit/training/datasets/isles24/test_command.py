from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.unit.training.datasets.isles24.tree import path_of, spoil
from willis_training.cli import app
from willis_training.datasets.splits import load_folds

RUN = CliRunner()


def test_the_example_passes_the_check_of_every_data_set(tmp_path: Path) -> None:
    made = RUN.invoke(app, ["data", "isles24", "example", str(tmp_path), "--cases", "2"])
    assert made.exit_code == 0, made.output
    checked = RUN.invoke(app, ["data", "check", "isles24", str(tmp_path), "--workers", "1"])
    assert checked.exit_code == 0, checked.output
    assert "2 examinations, 0 faults" in checked.output


@pytest.mark.parametrize(
    ("ending", "change", "code"),
    [
        ("_tmax.nii.gz", lambda v: np.stack([v, v]), "NOT_THREE_DIMENSIONAL"),
        ("_ctp.nii.gz", lambda v: v[0], "NOT_FOUR_DIMENSIONAL"),
        ("_cbf.nii.gz", lambda v: v[:, ::2], "SHAPE_MISMATCH"),
        ("lesion-msk.nii.gz", lambda v: v * 3, "LABEL_UNEXPECTED"),
        ("lesion-msk.nii.gz", lambda v: v.astype(np.float32) / 3, "LABEL_NOT_INTEGER"),
        ("_mtt.nii.gz", lambda v: v * np.float32(np.nan), "NOT_FINITE"),
    ],
)
def test_check_names_every_fault_by_its_code(
    train: Path, ending: str, change: object, code: str
) -> None:
    spoil(train, ending, change)  # type: ignore[arg-type]
    result = RUN.invoke(app, ["data", "check", "isles24", str(train), "--workers", "1"])
    assert result.exit_code == 1 and code in result.output


def test_check_names_what_is_missing(train: Path) -> None:
    path_of(train, "_tmax.nii.gz").unlink()
    for table in (train / "phenotype").rglob("*.csv"):
        table.unlink()
    result = RUN.invoke(app, ["data", "check", "isles24", str(train), "--workers", "1"])
    assert result.exit_code == 1
    assert "MISSING_IMAGE" in result.output and "no tmax image" in result.output
    assert "MISSING_FACTS" in result.output


def test_registration_fails_where_somebody_should_look(train: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    arguments = ["data", "isles24", "registration", str(train), "--out", str(out), "--workers", "1"]
    assert RUN.invoke(app, arguments).exit_code == 0
    spoil(train, "_tmax.nii.gz", lambda v: v, shift_mm=(0.0, 16.0, 0.0))
    copies = ["--resampled", str(tmp_path / "copies")]
    result = RUN.invoke(app, [*arguments, *copies])
    assert result.exit_code == 1 and "sub-stroke0001 tmax: resampled" in result.output
    assert (out / "registration.md").exists()
    assert path_of(tmp_path / "copies", "_tmax.nii.gz").exists()


def test_folds_are_written_for_fit_and_for_others(drawn: Path, tmp_path: Path) -> None:
    own, public = tmp_path / "folds.json", tmp_path / "public.json"
    arguments = ["data", "isles24", "folds", str(drawn), "--out", str(own)]
    result = RUN.invoke(app, [*arguments, "--folds", "3", "--public", str(public)])
    assert result.exit_code == 0, result.output
    folds = load_folds(own)
    assert [len(fold.validation) for fold in folds] == [2, 2, 2]
    assert json.loads(own.read_text())["by"] == "nihss"
    again = tmp_path / "again.json"
    result = RUN.invoke(
        app, ["data", "isles24", "folds", str(drawn), "--out", str(again), "--from", str(public)]
    )
    assert result.exit_code == 0, result.output
    assert load_folds(again) == folds


def test_pictures_show_cases_before_and_after_normalisation(train: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures"
    arguments = ["data", "isles24", "pictures", str(train), "--out", str(out)]
    result = RUN.invoke(app, [*arguments, "--bundles", str(tmp_path / "none")])
    assert result.exit_code == 0, result.output
    picture = out / "sub-stroke0001.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 250_000
    path_of(train, "_tmax.nii.gz").unlink()
    result = RUN.invoke(app, [*arguments, "--bundles", str(tmp_path / "none")])
    assert "sub-stroke0001 left out" in result.output


def test_a_wrong_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["data", "isles24", "registration", str(tmp_path)])
    assert result.exit_code == 2 and "Give the" in " ".join(result.output.split())
