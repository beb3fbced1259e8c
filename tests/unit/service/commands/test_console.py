from __future__ import annotations

from tests.aspects_findings import aspects_findings
from tests.fake_desk import rejected_findings
from tests.infarct_findings import infarct_findings
from willis_models.findings import INTENDED_USE_STATEMENT, NOTHING_FOUND
from willis_service.commands.console import print_files, print_findings, step_title


def test_the_score_table_shows_both_sides_of_each_region(capsys):
    print_findings(aspects_findings())

    text = capsys.readouterr().out
    assert "Left side: " in text
    assert "affected: " in text
    row = next(line for line in text.splitlines() if line.startswith("│ M2 "))
    assert ("affected" in row, "unaffected" in row) == (True, True)
    assert INTENDED_USE_STATEMENT in text


def test_a_rejected_study_shows_its_reason_and_no_table(capsys):
    print_findings(rejected_findings())

    text = capsys.readouterr().out
    assert "NOT_A_HEAD" in text
    assert "Region" not in text


def test_the_path_of_a_result_is_never_cut_short(capsys, tmp_path):
    path = tmp_path / ("deep/" * 8) / "seg.dcm"

    print_files([path])

    assert str(path) in capsys.readouterr().out


def test_a_step_within_another_is_named_by_itself():
    assert step_title("prepare: anything else") == "Anything else"
    assert step_title("read") == "Reading the images"
    assert step_title("publish") == "Publish"


def test_a_perfusion_study_shows_volumes_thresholds_and_criteria(capsys):
    print_findings(infarct_findings())

    text = capsys.readouterr().out
    core = next(line for line in text.splitlines() if "Infarct core" in line)
    assert "left" in core and "7.2" in core
    assert "9.5 to 41.2 mL, 90%, calibrated on simulated data" in text
    assert "Mismatch ratio: 8.1" in text
    assert "> 6 s" in text and "58.2" in text
    assert "DEFUSE 3" in text and "not assessable" in text
    assert "Region" not in text


def test_a_zero_on_the_console_does_not_exclude_a_stroke(capsys):
    print_findings(infarct_findings(None, core_ml=0.0, penumbra_ml=0.0, predicted_ml=0.0))

    text = capsys.readouterr().out
    assert text.count(NOTHING_FOUND) == 3
    assert "Mismatch ratio: not defined" in text


def test_a_step_within_another_has_a_name_that_a_person_reads():
    assert step_title("prepare: vessels") == "Finding artery and vein"
    assert step_title("prepare: something new") == "Something new"
    assert step_title("predict") == "Running the network"
