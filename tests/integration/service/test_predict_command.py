"""``willis predict`` with a toy network, and with every other part real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import toy_pipelines, write_toy_bundle
from willis_models.errors import BadUpload, UnknownPipeline
from willis_service.application.predict import PredictNow
from willis_service.bootstrap.working import build_predict
from willis_service.commands.exit_codes import ExitCode
from willis_service.commands.predict import predict
from willis_service.settings import Settings


@pytest.fixture
def analyse(tmp_path: Path) -> PredictNow:
    root = write_toy_bundle(tmp_path / "bundles")
    folders = {"data_dir": tmp_path / "data", "bundle_root": root}
    return build_predict(Settings(**folders, require_signature=False), toy_pipelines)


def test_a_folder_gives_checked_results_and_no_database(analyse, tmp_path, capsys):
    write_ct_series(tmp_path / "study")

    code = predict(analyse, tmp_path / "study", "toy", tmp_path / "out")

    assert code is ExitCode.OK
    assert json.loads((tmp_path / "out" / "findings.json").read_text())["status"] == "succeeded"
    assert dcmread(tmp_path / "out" / "seg.dcm").Modality == "SEG"
    assert dcmread(tmp_path / "out" / "sr.dcm").Modality == "SR"
    assert str(tmp_path / "out" / "report.html") in capsys.readouterr().out
    assert not list((tmp_path / "data").glob("*.sqlite"))


def test_a_study_with_missing_slices_is_rejected_with_code_and_report(analyse, tmp_path, capsys):
    write_ct_series(tmp_path / "study", missing=(10, 11))

    code = predict(analyse, tmp_path / "study", "toy", tmp_path / "out")

    assert code is ExitCode.REJECTED
    findings = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert findings["rejection"]["code"] == "MISSING_SLICES"
    assert "MISSING_SLICES" in capsys.readouterr().out
    assert not (tmp_path / "out" / "seg.dcm").exists()


def test_an_unknown_pipeline_is_refused_before_anything_is_read(analyse, tmp_path):
    write_ct_series(tmp_path / "study")

    with pytest.raises(UnknownPipeline, match="Known: toy"):
        predict(analyse, tmp_path / "study", "aspect", tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_a_bad_upload(analyse, tmp_path):
    (tmp_path / "empty").mkdir()

    with pytest.raises(BadUpload, match="holds no files"):
        predict(analyse, tmp_path / "empty", "toy", tmp_path / "out")
