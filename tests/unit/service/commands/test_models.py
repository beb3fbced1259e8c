"""``willis models`` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME, toy_pipelines, write_toy_bundle
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.application.model_desk import ModelDesk
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.modelling import build_model_desk
from willis_service.cli import run
from willis_service.commands import models, models_app


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path)


@pytest.fixture
def desk(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> ModelDesk:
    write_toy_bundle(toy.core.settings.added_bundles, "2.0.0", brain_above_hu=25.0)
    desk = build_model_desk(toy.core.settings, toy_pipelines)
    monkeypatch.setattr(models_app, "_desk", lambda: desk)
    return desk


def test_the_list_says_what_is_live_and_who_signed_it(desk: ModelDesk, capsys) -> None:
    assert run(["models", "shadow", NAME, "2.0.0", "--why", "look"]) == 0
    capsys.readouterr()

    assert run(["models"]) == 0

    said = capsys.readouterr().out
    rows = {line.split()[3]: line for line in said.splitlines() if " toy " in line}
    assert "live" in rows["1.0.0"] and "missing" in rows["1.0.0"]
    assert "shadow" in rows["2.0.0"]
    assert INTENDED_USE_STATEMENT in said


def test_promote_and_rollback_are_one_command_each(desk: ModelDesk, toy: Toy, capsys) -> None:
    assert run(["models", "promote", NAME, "2.0.0", "--why", "better", "--who", "ada"]) == 0
    assert toy.core.bundles.current(NAME).version == "2.0.0"
    assert run(["models", "rollback", NAME, "--why", "worse", "--who", "bob"]) == 0
    assert toy.core.bundles.current(NAME).version == "1.0.0"
    capsys.readouterr()

    assert run(["models", "history", NAME]) == 0
    said = capsys.readouterr().out
    assert said.index("bob") < said.index("ada")


def test_a_decision_needs_a_reason(desk: ModelDesk) -> None:
    assert run(["models", "promote", NAME, "2.0.0"]) == 2


def test_what_can_not_be_done_ends_with_its_code(desk: ModelDesk, capsys) -> None:
    assert run(["models", "rollback", NAME, "--why", "x"]) == 2
    assert "MODEL_CONFLICT" in capsys.readouterr().err
    assert run(["models", "promote", NAME, "7.0.0", "--why", "x"]) == 2
    assert "UNKNOWN_MODEL" in capsys.readouterr().err


def test_a_shadow_is_named_or_switched_off(desk: ModelDesk) -> None:
    assert run(["models", "shadow", NAME, "--why", "x"]) == 2
    assert run(["models", "shadow", NAME, "2.0.0", "--off", "--why", "x"]) == 2
    assert run(["models", "shadow", NAME, "2.0.0", "--why", "x"]) == 0
    assert run(["models", "shadow", NAME, "--off", "--why", "x"]) == 0


def test_the_comparison_is_a_table_of_figures_and_the_studies_to_look_at(
    desk: ModelDesk, toy: Toy, tmp_path: Path, capsys
) -> None:
    run(["models", "shadow", NAME, "2.0.0", "--why", "look"])
    files = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    job = desk_of(toy.core).submit_files(files, NAME)
    toy.run(job.id)
    capsys.readouterr()

    assert models.compare(desk, NAME, worst=5) == 0

    said = capsys.readouterr().out
    assert "2.0.0 beside 1.0.0" in said
    assert "Dice between the masks, mean" in said and "median time, candidate" in said
    assert job.id in said
    assert INTENDED_USE_STATEMENT in said


def test_without_a_candidate_the_comparison_says_how_to_start_one(desk: ModelDesk, capsys) -> None:
    assert run(["models", "compare", NAME]) == 0
    assert "willis models shadow" in capsys.readouterr().out


def test_a_bundle_is_taken_in_from_a_folder(desk: ModelDesk, tmp_path: Path, capsys) -> None:
    folder = write_toy_bundle(tmp_path / "media", "3.0.0") / NAME / "3.0.0"

    assert run(["models", "add", str(folder)]) == 0
    assert "not live" in capsys.readouterr().out
    assert "3.0.0" in {entry.bundle.version for entry in desk.entries()}
