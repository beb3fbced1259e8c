from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from willis_models.errors import (
    BundleError,
    NotAHead,
    ResultError,
    ServiceError,
    UnknownPipeline,
    WillisError,
)
from willis_service.cli import run
from willis_service.commands.exit_codes import ExitCode, exit_code_of


def tree(root: type[WillisError] = WillisError) -> list[type[WillisError]]:
    return [root, *(leaf for child in root.__subclasses__() for leaf in tree(child))]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("WILLIS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WILLIS_BUNDLE_ROOT", str(tmp_path / "bundles"))


def test_every_error_of_the_tree_ends_with_an_exit_code():
    assert {exit_code_of(error("x")) for error in tree() if not error.__name__.startswith("_")} == {
        ExitCode.FAILURE,
        ExitCode.USAGE,
        ExitCode.REJECTED,
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAHead("x"), 3),
        (UnknownPipeline("x"), 2),
        (BundleError("x"), 1),
        (ResultError("x"), 1),
        (ServiceError("x"), 1),
    ],
)
def test_scripts_can_tell_a_rejected_study_from_a_failure(error, code):
    assert exit_code_of(error) == code


def test_help_teaches_with_examples_and_says_what_it_is_for(capsys):
    assert run(["--help"]) == 0

    text = capsys.readouterr().out
    assert "Research use only" in text
    assert "willis predict folder --out results" in text
    assert "3 the study was rejected" in text


def test_without_a_command_the_help_is_shown(capsys):
    run([])

    assert "Examples" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("willis ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "/no/such/folder"],
        ["send", ".", "--to", "nobody"],
        ["send", ".", "--to", "WILLIS@host:70000"],
        ["send", ".", "--to", "WILLIS@host:104", "--from", "A TITLE THAT IS TOO LONG"],
        ["serve", "--role", "cook"],
        ["no-such-command"],
    ],
)
def test_wrong_usage_ends_with_two(arguments):
    assert run(arguments) == 2


def test_a_misspelt_setting_is_an_error_that_lists_the_right_ones(monkeypatch, capsys):
    monkeypatch.setenv("WILLIS_HTPP_PORT", "81")

    assert run(["models"]) == 2
    assert "WILLIS_HTTP_PORT" in capsys.readouterr().err


def test_an_unknown_pipeline_is_named_with_the_known_ones(tmp_path, capsys):
    (tmp_path / "scan.dcm").write_bytes(b"x")

    assert run(["predict", str(tmp_path), "--pipeline", "horoscope"]) == 2
    assert "UNKNOWN_PIPELINE" in capsys.readouterr().err


def test_an_empty_folder_says_what_to_name_instead(tmp_path, capsys):
    (tmp_path / "empty").mkdir()

    assert run(["send", str(tmp_path / "empty"), "--to", "WILLIS@127.0.0.1:104"]) == 2
    assert "Name the folder of one study" in capsys.readouterr().err


def test_an_installation_without_models_fails(capsys):
    assert run(["models"]) == 1
    assert "No bundle" in capsys.readouterr().out


def test_a_damaged_bundle_is_not_listed_as_if_it_were_well(tmp_path, capsys):
    folder = tmp_path / "bundles" / "aspects" / "1.0.0"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")

    assert run(["models"]) == 1
    assert "MANIFEST_INVALID" in capsys.readouterr().err


def test_the_command_is_quick_to_answer_because_it_imports_late():
    code = (
        "import sys, willis_service.cli as cli; cli.run(['--version']);"
        "sys.exit(any(m in sys.modules for m in ('onnxruntime', 'celery', 'fastapi', 'pydicom')))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr


def test_predict_of_a_folder_without_files_is_wrong_usage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    assert run(["predict", "empty", "--out", "results"]) == 2
    assert not Path("results").exists()
