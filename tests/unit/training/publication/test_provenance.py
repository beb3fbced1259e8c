"""Which code and which data made a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

from willis_training.publication.digests import digest_of_cases, digest_of_files
from willis_training.publication.provenance import training_commit


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    command = ("git", "-C", str(folder), *identity, *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_changed_tree_is_told_from_its_commit(tmp_path: Path) -> None:
    git(tmp_path, "init")
    (tmp_path / "fit.py").write_text("first")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")

    assert training_commit(tmp_path) == commit
    (tmp_path / "fit.py").write_text("changed")
    assert training_commit(tmp_path) == f"{commit}-dirty"


def test_outside_a_working_tree_there_is_no_commit(tmp_path: Path) -> None:
    assert training_commit(tmp_path) is None


def test_a_digest_of_cases_does_not_depend_on_their_order() -> None:
    assert digest_of_cases({"a": "1", "b": "2"}) == digest_of_cases({"b": "2", "a": "1"})


def test_a_digest_of_cases_changes_with_each_of_them() -> None:
    cases = [{"a": "1", "b": "2"}, {"a": "1"}, {"a": "1", "b": "3"}, {"a": "1\n1 b 2"}]

    assert len({digest_of_cases(one) for one in cases}) == len(cases)


def test_files_are_known_by_their_path_below_the_root(tmp_path: Path) -> None:
    for root, name in (("x", "a"), ("y", "a"), ("z", "b")):
        (tmp_path / root).mkdir()
        (tmp_path / root / name).write_text("same")

    x, y, z = (digest_of_files((tmp_path / r).iterdir(), tmp_path / r) for r in "xyz")

    assert x == y != z
