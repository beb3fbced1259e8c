"""Writes a bundle, all of it or nothing: weights, assets, golden vectors, manifest, card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.manifest import Manifest, sha256_of
from willis_models.runtime.bundle import find_bundles, load_bundle, version_key
from willis_models.runtime.session import open_predictor, replay_golden, sparse
from willis_training.export import Parity


@dataclass(frozen=True)
class BundleContent:
    """What goes into a bundle beside the network's file."""

    manifest: Mapping[str, Any]
    assets: Mapping[str, NDArray[Any]]
    golden_input: NDArray[np.float32]
    card: str
    evaluation: Mapping[str, Any]
    parity: Parity


def next_version(name: str, root: Path) -> str:
    """The next minor version of a model: 0.1.0 for the first."""
    versions = [version_key(path.name) for path in find_bundles(root) if path.parent.name == name]
    if not versions:
        return "0.1.0"
    major, minor, *_ = max(versions)
    return f"{major}.{minor + 1}.0"


def publish(model: Path, content: BundleContent, root: Path) -> Path:
    """Write ``root/<name>/<version>`` and prove that it loads and replays. Returns the folder."""
    content.parity.check()
    manifest = dict(content.manifest)
    folder = root / str(manifest["name"]) / str(manifest["version"])
    with _partial_folder(folder) as partial:
        _write_files(partial, model, content)
        _write_golden(partial, manifest, content.golden_input)
        _write_manifest(partial, manifest)
        bundle = load_bundle(partial)
        replay_golden(bundle, open_predictor(bundle))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    return folder


@contextmanager
def _partial_folder(folder: Path) -> Iterator[Path]:
    """A hidden neighbour to write into; gone afterwards, whatever happened."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_files(folder: Path, model: Path, content: BundleContent) -> None:
    """Everything but the golden vectors and the manifest, which depend on it."""
    arrays: dict[str, Any] = dict(content.assets)
    shutil.copyfile(model, folder / "model.onnx")
    np.savez_compressed(folder / "assets.npz", **arrays)
    (folder / "CARD.md").write_text(content.card)
    (folder / "evaluation.json").write_text(json.dumps(content.evaluation, indent=2) + "\n")


def _write_golden(folder: Path, manifest: Mapping[str, Any], image: NDArray[np.float32]) -> None:
    """The exported network's own answer: later versions of the runtime are held to it."""
    stored = image.astype(np.float16)
    _write_manifest(folder, manifest)
    predictor = open_predictor(load_bundle(folder))
    output = sparse(predictor(stored.astype(np.float32)))
    np.savez_compressed(folder / "golden.npz", input=stored, output=output)


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    files = sorted(p for p in folder.iterdir() if p.suffix in (".onnx", ".npz"))
    digests = {path.name: sha256_of(path) for path in files}
    document = {
        **manifest,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files_sha256": digests,
    }
    Manifest.model_validate(document)
    (folder / "manifest.json").write_text(json.dumps(document, indent=2) + "\n")
