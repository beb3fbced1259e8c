"""The engine script says what is missing where it can't run."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from willis_models.runtime.bundle import latest_bundle
from willis_models.runtime.session import TENSORRT, engine_options, runtime_description

SCRIPT = Path("docker/build_tensorrt_engine.py")
pytestmark = pytest.mark.skipif(
    TENSORRT in runtime_description()[1] and find_spec("tensorrt") is not None,
    reason="TensorRT is installed here",
)


def test_without_tensorrt_it_ends_with_what_to_install(repository: Path, tmp_path: Path) -> None:
    bundle = latest_bundle("aspects").folder
    command = [sys.executable, SCRIPT, bundle, "--engines", tmp_path / "engines"]

    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "No engine can be built here" in done.stderr and "pip install" in done.stderr
    assert not (tmp_path / "engines").exists()


def test_engines_of_different_networks_and_precisions_are_kept_apart(tmp_path: Path) -> None:
    manifest = latest_bundle("aspects").manifest
    half = manifest.model_copy(update={"precision": "fp16"})

    options, of_half = engine_options(manifest, tmp_path), engine_options(half, tmp_path)

    assert manifest.weights_sha256[:16] in options["trt_engine_cache_path"]
    assert (options["trt_fp16_enable"], of_half["trt_fp16_enable"]) == ("0", "1")
