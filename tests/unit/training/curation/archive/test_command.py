from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit.training.curation.archive.small_archive import simple_head
from willis_training.cli import app
from willis_training.simulation.archive.heads import Protocol
from willis_training.simulation.archive.kinds import BONE, LOCALIZER, THICK
from willis_training.simulation.archive.write import ArchivePlan, write_archive

PLAN = ArchivePlan(
    outlined=1, mixture=((THICK, 1), (BONE, 1), (LOCALIZER, 1)), protocol=Protocol(14, 7.5, 32)
)


def run(*arguments: object) -> tuple[int, str]:
    """Exit code, and the output as one line: errors are drawn in a box."""
    answer = CliRunner().invoke(app, ["curate", *map(str, arguments)])
    return answer.exit_code, " ".join(answer.output.replace("│", " ").split())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(simple_head(), PLAN, tmp_path_factory.mktemp("source")).folder


def test_one_command_makes_a_data_set_and_a_private_folder_beside_it(
    source: Path, tmp_path: Path
) -> None:
    code, output = run(source, tmp_path / "set", "--no-labels", "--workers", 2)
    assert code == 0, output
    assert "4 series: 2 kept, 2 converted" in output
    assert (tmp_path / "set" / "derivatives" / "curation" / "report.md").is_file()
    assert (tmp_path / "set-private" / "pseudonym.key").is_file()


def test_rules_of_ones_own_decide(source: Path, tmp_path: Path) -> None:
    shipped = run("--show-rules")
    assert shipped[0] == 0 and shipped[1].startswith("# Rules of `willis-train curate`")
    rules = tmp_path / "rules.yaml"
    text = CliRunner().invoke(app, ["curate", "--show-rules"]).output
    rules.write_text(text.replace("fact: images, at_least: 10", "fact: images, at_least: 18"))
    code, output = run(source, tmp_path / "set", "--no-labels", "--workers", 1, "--rules", rules)
    assert code == 0 and "4 series: 1 kept" in output


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("nowhere", "set"), "give a folder or a DICOMDIR"),
        (("SOURCE", "set", "--rules", "no.yaml"), "can't be read"),
        (("SOURCE", "set", "--key", "set/key"), "given away"),
    ],
)
def test_what_can_not_work_is_said_with_what_to_do(
    source: Path, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], advice: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = run(*(str(source) if a == "SOURCE" else a for a in arguments))
    assert code == 2 and advice in output
