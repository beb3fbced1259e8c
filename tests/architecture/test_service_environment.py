"""An environment with only ``service`` and ``cpu``: small enough for a hospital, and it works."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FORBIDDEN = {"torch", "monai", "antspyx", "lightning", "pytorch-lightning", "nilearn", "onnxscript"}
_LIST = (
    "import importlib.metadata as m, json;"
    "print(json.dumps([d.metadata['Name'].lower() for d in m.distributions()]))"
)


def run(*command: str | Path, cwd: Path, timeout_s: float = 900) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("WILLIS_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def light_python(repository: Path) -> Path:
    """The interpreter of such an environment, made once for each set of dependencies."""
    files = [repository / name for name in ("pyproject.toml", "constraints.txt")]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
    folder = repository / ".cache" / f"service-environment-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        run(sys.executable, "-m", "venv", "--clear", folder, cwd=repository)
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "-c", "constraints.txt", "-e", ".[service,cpu]", cwd=repository)
        (folder / "complete").touch()
    return python


@pytest.mark.slow
def test_neither_torch_nor_monai_is_installed_for_the_service(light_python, repository):
    installed = set(json.loads(run(light_python, "-c", _LIST, cwd=repository)))

    assert "pydicom" in installed
    assert installed & FORBIDDEN == set()


@pytest.mark.slow
def test_every_module_of_the_service_can_be_imported_there(light_python, repository, tmp_path):
    code = (
        "import importlib, pkgutil, willis_models, willis_service\n"
        "for package in (willis_models, willis_service):\n"
        "    for m in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if '.migrations.' not in m.name:  # scripts that Alembic runs, not modules\n"
        "            importlib.import_module(m.name)\n"
    )

    run(light_python, "-c", code, cwd=tmp_path)


@pytest.mark.slow
def test_the_demo_study_is_scored_there(light_python, demo_study, tmp_path):
    run(light_python.parent / "willis", "predict", demo_study, "--out", "results", cwd=tmp_path)

    findings = json.loads((tmp_path / "results" / "findings.json").read_text())
    assert findings["status"] == "succeeded"
    assert {path.name for path in (tmp_path / "results").iterdir()} >= {"seg.dcm", "sr.dcm"}
