from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from willis_models.pipelines.registry import PIPELINES


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())


def pipeline_folders(repository: Path) -> set[str]:
    root = repository / "models" / "willis_models" / "pipelines"
    return {path.parent.name for path in root.glob("*/__init__.py")}


def test_every_pipeline_folder_is_in_the_registry(repository):
    assert pipeline_folders(repository) == set(PIPELINES)


def test_every_pipeline_is_held_independent_of_the_others(repository, project):
    contracts = {c["id"]: c for c in project["tool"]["importlinter"]["contracts"]}

    named = {module.rpartition(".")[2] for module in contracts["pipelines"]["modules"]}

    assert named == pipeline_folders(repository)


def test_every_dependency_is_pinned(repository, project):
    lines = (repository / "constraints.txt").read_text().splitlines()
    pinned = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *(d for e in extras.values() for d in e)]

    names = {re.sub(r"[-_.]+", "-", re.split(r"[<>=\[ ]", one)[0]).lower() for one in wanted}

    # The GPU runtime can't be installed beside the CPU one; it takes the same version.
    assert names - pinned == {"onnxruntime-gpu"}


def test_importing_every_module_starts_nothing_and_writes_nothing(tmp_path):
    code = (
        "import importlib, pkgutil, threading, logging, willis_models, willis_service\n"
        "for package in (willis_models, willis_service):\n"
        "    for m in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if '.migrations.' not in m.name:  # scripts that Alembic runs, not modules\n"
        "            importlib.import_module(m.name)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_make_help_lists_every_target(repository):
    text = (repository / "Makefile").read_text()
    targets = re.findall(r"^\.PHONY: (\S+)", text, re.MULTILINE)

    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert [t for t in targets if f"make {t} " not in listed] == []


def test_every_decision_is_listed(repository):
    folder = repository / "docs" / "decisions"
    linked = set(re.findall(r"\(([\w-]+\.md)\)", (folder / "README.md").read_text()))

    assert linked == {path.name for path in folder.glob("*.md")} - {"README.md"}
