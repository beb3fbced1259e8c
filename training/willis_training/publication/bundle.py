"""Writes a bundle, all of it or nothing: weights, assets, golden vectors, manifest, card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Manifest, read_manifest, sha256_of
from willis_models.runtime.bundle import find_bundles, load_bundle, version_key
from willis_models.runtime.session import open_predictor, replay_golden, sparse
from willis_models.runtime.signature import sign_bundle
from willis_training.export.parity import Parity
from willis_training.publication.card import render_card
from willis_training.publication.changelog import note_version
from willis_training.publication.gate import pass_gate

_PATIENTS = "performance on patients:"


class NotPublishable(RuntimeError):
    """Something that a reader of the bundle has to know is missing."""


@dataclass(frozen=True)
class BundleContent:
    """What goes into a bundle beside the network's file. Without a card a plain one is written."""

    manifest: Mapping[str, Any]
    assets: Mapping[str, NDArray[Any]]
    golden_input: NDArray[np.float32]
    evaluation: Mapping[str, Any]
    parity: Parity
    card: str | None = None


@dataclass(frozen=True)
class Release:
    """How a version goes out: who signs it, why it may be worse, what the changelog says of it."""

    signing_key: Ed25519PrivateKey | None = field(default=None, repr=False)
    accept_worse: str | None = None
    note: str | None = None


UNSIGNED = Release()


def next_version(name: str, root: Path) -> str:
    """The next minor version of a model: 0.1.0 for the first."""
    versions = _versions(name, root)
    if not versions:
        return "0.1.0"
    major, minor, *_ = max(versions)
    return f"{major}.{minor + 1}.0"


def publish(model: Path, content: BundleContent, root: Path, release: Release = UNSIGNED) -> Path:
    """Write ``root/<name>/<version>`` and prove that it loads and replays. Returns the folder.

    Raises ExportDrift, WorseThanBefore or NotPublishable, and then nothing was written.
    """
    content.parity.check()
    draft = _stamped(content.manifest, {"model.onnx": sha256_of(model)})
    _check_honest(draft)
    before = version_before(draft, root)
    worse = pass_gate(draft, before, release.accept_worse)
    manifest = {
        **content.manifest,
        "accepted_worse": None if worse is None else worse.model_dump(),
    }
    folder = root / draft.name / draft.version
    with _partial_folder(folder) as partial:
        _write_files(partial, model, content, draft)
        _write_golden(partial, manifest, content.golden_input)
        _write_manifest(partial, manifest)
        bundle = load_bundle(partial)
        replay_golden(bundle, open_predictor(bundle))
        if release.signing_key is not None:
            sign_bundle(partial, release.signing_key)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    note_version(root, bundle.manifest, before, release.note)
    return folder


def version_before(manifest: Manifest, root: Path) -> Manifest | None:
    """The manifest of the highest lower version; None for the first."""
    own = version_key(manifest.version)
    lower = [version for version in _versions(manifest.name, root) if version < own]
    if not lower:
        return None
    return read_manifest(root / manifest.name / ".".join(map(str, max(lower))) / "manifest.json")


def _versions(name: str, root: Path) -> list[tuple[int, ...]]:
    return [version_key(path.name) for path in find_bundles(root) if path.parent.name == name]


def _check_honest(manifest: Manifest) -> None:
    """Whoever gets the bundle learns what it is for, and what it learnt from by which licence."""
    if not manifest.learnt_from or not all(one.licence.strip() for one in manifest.learnt_from):
        raise NotPublishable("Name what the weights learnt from, each with its licence.")
    if INTENDED_USE_STATEMENT not in manifest.limits:
        raise NotPublishable(f"The limits have to hold the statement: {INTENDED_USE_STATEMENT}")
    if not any(limit.lower().startswith(_PATIENTS) for limit in manifest.limits):
        raise NotPublishable("The limits have to say: Performance on patients: not measured.")


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


def _write_files(folder: Path, model: Path, content: BundleContent, draft: Manifest) -> None:
    """Everything but the golden vectors and the manifest, which depend on it."""
    arrays: dict[str, Any] = dict(content.assets)
    shutil.copyfile(model, folder / "model.onnx")
    np.savez_compressed(folder / "assets.npz", **arrays)
    (folder / "CARD.md").write_text(content.card or render_card(draft))
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
    document = _stamped(manifest, {path.name: sha256_of(path) for path in files})
    text = document.model_dump_json(indent=2)
    (folder / "manifest.json").write_text(text + "\n")


def _stamped(manifest: Mapping[str, Any], files_sha256: Mapping[str, str]) -> Manifest:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    stamps = {"created": created, "files_sha256": dict(files_sha256)}
    return Manifest.model_validate({**manifest, **stamps})
