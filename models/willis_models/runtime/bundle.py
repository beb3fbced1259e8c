"""A model bundle on disk: manifest, weights, assets and golden vectors, digests verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import DigestMismatch, ManifestInvalid
from willis_models.manifest import Manifest, read_manifest, sha256_of

_PACKAGE = Path(__file__).resolve().parent.parent
SHIPPED_BUNDLES = _PACKAGE / "bundles"
SHIPPED_KEYS = _PACKAGE / "trusted-keys.txt"
"""The public keys that sign the project's own bundles."""


@dataclass(frozen=True)
class Bundle:
    """One version of one model. Make it with ``load_bundle``, which verifies every digest."""

    folder: Path
    manifest: Manifest

    @property
    def model_path(self) -> Path:
        """The network's ONNX file."""
        return self.folder / "model.onnx"

    @cached_property
    def assets(self) -> dict[str, NDArray[Any]]:
        """Arrays that preprocessing and interpretation need, such as the template."""
        return _read_arrays(self.folder / "assets.npz")

    @cached_property
    def golden(self) -> dict[str, NDArray[Any]]:
        """``input`` and the ``output`` that the exported network gave for it."""
        return _read_arrays(self.folder / "golden.npz")


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify its digests. Raises ManifestInvalid or DigestMismatch."""
    manifest = read_manifest(folder / "manifest.json")
    for name, digest in manifest.files_sha256.items():
        path = folder / name
        if not path.is_file():
            raise DigestMismatch(f"{path} is missing from the bundle.")
        if sha256_of(path) != digest:
            raise DigestMismatch(f"{path} is not the file that the manifest names.")
    if "model.onnx" not in manifest.files_sha256:
        raise ManifestInvalid(f"{folder}: the manifest names no model.onnx.")
    return Bundle(folder, manifest)


def find_bundles(root: Path = SHIPPED_BUNDLES) -> Iterator[Path]:
    """Folders of bundles below ``root/<name>/<version>``, sorted by name, then version.

    A hidden folder is a publication under way, or one that was interrupted.
    """
    found = [path.parent for path in root.glob("*/[!.]*/manifest.json")]
    return iter(sorted(found, key=lambda path: (path.parent.name, version_key(path.name))))


def latest_bundle(name: str, root: Path = SHIPPED_BUNDLES) -> Bundle:
    """The highest version of one model. Raises ManifestInvalid where there is none."""
    folders = [path for path in find_bundles(root) if path.parent.name == name]
    if not folders:
        raise ManifestInvalid(f"No bundle of the model {name} under {root}.")
    return load_bundle(folders[-1])


def version_key(version: str) -> tuple[int, ...]:
    """Sort key of a version such as ``1.2.10``. Raises ManifestInvalid."""
    try:
        return tuple(int(part) for part in version.split("."))
    except ValueError as error:
        raise ManifestInvalid(f"The version {version} is not made of numbers.") from error


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
