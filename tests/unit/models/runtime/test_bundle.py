"""Bundles on disk: every digest is checked, nothing unknown is accepted, the newest is found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.models.tiny_bundle import write_bundle, write_manifest
from willis_models.errors import DigestMismatch, ManifestInvalid
from willis_models.manifest import sha256_of
from willis_models.runtime.bundle import find_bundles, latest_bundle, load_bundle, version_key


def test_a_bundle_loads_with_its_assets_and_its_identity(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)

    bundle = load_bundle(folder)

    assert bundle.manifest.weights_sha256 == sha256_of(folder / "model.onnx")
    np.testing.assert_array_equal(bundle.assets["atlas"], np.arange(8))
    assert bundle.golden["input"].shape == (1, 8, 8, 8)


@pytest.mark.parametrize("name", ["model.onnx", "assets.npz", "golden.npz"])
def test_one_changed_byte_in_any_file_is_noticed(tmp_path: Path, name: str) -> None:
    path = write_bundle(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(DigestMismatch, match=name):
        load_bundle(path.parent)


def test_a_missing_file_is_noticed(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    (folder / "golden.npz").unlink()

    with pytest.raises(DigestMismatch, match="missing"):
        load_bundle(folder)


def test_a_manifest_without_a_network_is_invalid(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    write_manifest(folder, files_sha256={"assets.npz": sha256_of(folder / "assets.npz")})

    with pytest.raises(ManifestInvalid, match=r"model\.onnx"):
        load_bundle(folder)


def test_an_unknown_key_in_the_manifest_is_invalid(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "smoothing_mm": 2.0}))

    with pytest.raises(ManifestInvalid, match="smoothing_mm"):
        load_bundle(folder)


def test_the_latest_version_is_chosen_by_number_not_by_letter(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0", "0.2.11"):
        write_bundle(tmp_path, version)

    assert latest_bundle("tiny", tmp_path).manifest.version == "0.10.0"
    assert [folder.name for folder in find_bundles(tmp_path)] == ["0.2.11", "0.9.0", "0.10.0"]


def test_what_an_interrupted_publication_left_behind_is_no_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path, "0.1.0")
    write_bundle(tmp_path, ".0.2.0.partial")

    assert latest_bundle("tiny", tmp_path).manifest.version == "0.1.0"


def test_a_model_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="nothing"):
        latest_bundle("nothing", tmp_path)


def test_a_version_that_is_not_made_of_numbers_is_invalid() -> None:
    assert version_key("1.2.10") == (1, 2, 10)
    with pytest.raises(ManifestInvalid, match=r"1\.x"):
        version_key("1.x")


def test_every_shipped_bundle_is_whole() -> None:
    for folder in find_bundles():
        bundle = load_bundle(folder)

        assert (folder / "CARD.md").is_file()
        assert (bundle.manifest.name, bundle.manifest.version) == (folder.parent.name, folder.name)
