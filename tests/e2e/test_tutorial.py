"""The tutorial's commands, taken from its page and run in order at toy size."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from willis_models.findings import INTENDED_USE_STATEMENT, Findings
from willis_models.runtime.bundle import load_bundle

PAGE = Path("docs/training/tutorial.md")
TOY = {"SUBJECTS": "3", "STEPS": "6", "WIDTHS": "[4,8]", "RATE": "0.1"}
LIMIT_S = 400


def commands(page: str) -> str:
    """Every block of the page that is marked as bash, in order."""
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))


@pytest.mark.slow
def test_the_tutorial_ends_in_a_served_model_of_ones_own(repository: Path, tmp_path: Path) -> None:
    script = "set -euo pipefail\n" + commands((repository / PAGE).read_text())
    environment = {
        **os.environ,
        **TOY,
        "MINE": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    bundle = load_bundle(tmp_path / "bundles" / "aspects" / "0.1.0")
    assert "0.1.0" in done.stdout
    for folder in ("predicted", "served"):
        findings = Findings.model_validate_json((tmp_path / folder / "findings.json").read_bytes())
        assert findings.status == "succeeded"
        assert findings.intended_use == INTENDED_USE_STATEMENT
        assert findings.model is not None
        assert findings.model.weights_sha256 == bundle.manifest.weights_sha256
    folds = json.loads((tmp_path / "folds.json").read_text())["folds"]
    assert bundle.manifest.judgement is not None
    assert bundle.manifest.judgement.cases == len(folds[0]["test"])
