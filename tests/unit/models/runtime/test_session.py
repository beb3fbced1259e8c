"""ONNX Runtime: what runs is what was asked for, and it answers as it did when published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.models.tiny_bundle import answer, image, write_bundle, write_manifest, write_network
from willis_models.errors import BundleError, GoldenMismatch
from willis_models.runtime.bundle import load_bundle
from willis_models.runtime.session import (
    CPU,
    GOLDEN_TOLERANCE,
    open_predictor,
    open_session,
    replay_golden,
    runtime_description,
    sparse,
)


def test_a_predictor_gives_the_networks_probabilities(tmp_path: Path) -> None:
    predictor = open_predictor(load_bundle(write_bundle(tmp_path)), threads=1)

    np.testing.assert_allclose(predictor(image()), answer(), atol=1e-5)


def test_a_predictor_says_what_it_is_and_where_it_runs(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path))

    identity = open_predictor(bundle).identity

    assert (identity.name, identity.version) == ("tiny", "0.1.0")
    assert identity.weights_sha256 == bundle.manifest.files_sha256["model.onnx"]
    assert identity.execution_provider == CPU


def test_a_provider_that_is_not_there_is_an_error_and_not_a_silent_fall_back(
    tmp_path: Path,
) -> None:
    bundle = load_bundle(write_bundle(tmp_path))

    with pytest.raises(BundleError, match="NoSuchExecutionProvider is not available"):
        open_predictor(bundle, "NoSuchExecutionProvider")
    with pytest.raises(BundleError):
        open_session(bundle.model_path, "NoSuchExecutionProvider")


def test_the_golden_vectors_replay(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path))

    assert replay_golden(bundle, open_predictor(bundle)) < 1e-5


def test_altered_weights_do_not_pass_for_the_published_ones(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_network(folder / "model.onnx", weight=4.1)
    write_manifest(folder)
    bundle = load_bundle(folder)

    with pytest.raises(GoldenMismatch, match=r"tiny 0\.1\.0 differs"):
        replay_golden(bundle, open_predictor(bundle))


def test_a_difference_under_the_tolerance_passes(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_network(folder / "model.onnx", weight=4.001)
    write_manifest(folder)
    bundle = load_bundle(folder)

    assert 0.0 < replay_golden(bundle, open_predictor(bundle)) < GOLDEN_TOLERANCE


def test_a_network_that_gives_no_numbers_is_a_mismatch(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_network(folder / "model.onnx", weight=float("nan"))
    write_manifest(folder)
    bundle = load_bundle(folder)

    with pytest.raises(GoldenMismatch):
        replay_golden(bundle, open_predictor(bundle))


def test_golden_outputs_keep_every_fourth_voxel() -> None:
    output = np.arange(2 * 8 * 8 * 8, dtype=np.float32).reshape(2, 8, 8, 8)

    assert sparse(output).shape == (2, 2, 2, 2)
    assert sparse(output)[1, 1, 0, 1] == output[1, 4, 0, 4]


def test_the_runtime_says_what_it_has() -> None:
    version, providers = runtime_description()

    assert version[0].isdigit()
    assert CPU in providers
