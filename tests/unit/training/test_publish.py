"""Publication: the next version, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tests.unit.models.tiny_bundle import image, manifest_document, write_bundle, write_network
from willis_models.runtime.bundle import latest_bundle
from willis_models.runtime.session import open_predictor, replay_golden
from willis_training.export import ExportDrift, Parity
from willis_training.publish import BundleContent, next_version, publish

EXACT = Parity(0.0, 1.0, 0.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "trained.onnx"
    write_network(path)
    return path


def content(**changes: object) -> BundleContent:
    return BundleContent(
        manifest=manifest_document(**changes),
        assets={"atlas": np.arange(8, dtype=np.uint8)},
        golden_input=image(),
        card="# Tiny\n",
        evaluation={"dice": 0.9},
        parity=EXACT,
    )


def test_a_published_bundle_loads_and_replays(tmp_path: Path, model: Path) -> None:
    folder = publish(model, content(), tmp_path)

    bundle = latest_bundle("tiny", tmp_path)
    assert bundle.folder == folder == tmp_path / "tiny" / "0.1.0"
    assert replay_golden(bundle, open_predictor(bundle)) == 0.0
    assert {path.name for path in folder.iterdir()} == {
        "CARD.md",
        "assets.npz",
        "evaluation.json",
        "golden.npz",
        "manifest.json",
        "model.onnx",
    }
    assert set(bundle.manifest.files_sha256) == {"assets.npz", "golden.npz", "model.onnx"}


def test_versions_go_up_by_their_minor_number(tmp_path: Path) -> None:
    assert next_version("tiny", tmp_path) == "0.1.0"
    for version in ("0.1.0", "0.10.0", "0.9.3"):
        write_bundle(tmp_path, version)

    assert next_version("tiny", tmp_path) == "0.11.0"
    assert next_version("other", tmp_path) == "0.1.0"


def test_a_network_that_drifts_is_not_published(tmp_path: Path, model: Path) -> None:
    drifting = replace(content(), parity=Parity(0.5, 0.8, 0.1))

    with pytest.raises(ExportDrift):
        publish(model, drifting, tmp_path)

    assert not (tmp_path / "tiny").exists()


def test_a_publication_that_fails_leaves_the_old_version_and_nothing_else(
    tmp_path: Path, model: Path
) -> None:
    publish(model, content(), tmp_path)

    with pytest.raises(ValidationError):
        publish(model, content(version="0.2.0", colour="blue"), tmp_path)

    assert latest_bundle("tiny", tmp_path).manifest.version == "0.1.0"
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["0.1.0"]


def test_the_same_version_is_replaced_as_a_whole(tmp_path: Path, model: Path) -> None:
    publish(model, content(), tmp_path)
    (tmp_path / "tiny" / "0.1.0" / "left over.txt").write_text("old")

    folder = publish(model, replace(content(), card="# Newer\n"), tmp_path)

    assert (folder / "CARD.md").read_text() == "# Newer\n"
    assert not (folder / "left over.txt").exists()
