from __future__ import annotations

from tests.aspects_findings import aspects_findings
from tests.fake_desk import rejected_findings
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.commands.console import print_files, print_findings


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
