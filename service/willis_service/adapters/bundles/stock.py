"""The bundles that are there, and which of them is live."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import DigestMismatch, ManifestInvalid, ModelConflict, UnknownModel
from willis_models.manifest import sha256_of
from willis_models.runtime.bundle import find_bundles, load_bundle, version_key
from willis_models.runtime.signature import Trust, check_signature
from willis_service.domain.job import BundleId
from willis_service.domain.models import Choice


def _nobody_chose(_pipeline: str) -> Choice:
    return Choice()


@dataclass(frozen=True)
class Bundles:
    """The bundles below ``root``, and those ``added`` to this installation.

    A bundle's identity is the digest of its manifest. The highest version below ``root`` is live by
    itself; where somebody chose one, that one is, wherever it lies.
    """

    root: Path
    added: Path | None = None
    choice: Callable[[str], Choice] = _nobody_chose

    def current(self, pipeline: str) -> BundleId:
        """The live bundle. Raises ManifestInvalid where there is none, DigestMismatch if gone."""
        chosen = self.choice(pipeline).live
        if chosen is not None:
            self.folder(pipeline, chosen)
            return chosen
        folders = [folder for folder in find_bundles(self.root) if folder.parent.name == pipeline]
        if not folders:
            raise ManifestInvalid(f"No bundle of the model {pipeline} under {self.root}.")
        return _id_of(folders[-1])

    def candidate(self, pipeline: str) -> BundleId | None:
        """The bundle that runs in shadow."""
        return self.choice(pipeline).shadow

    def folder(self, pipeline: str, bundle: BundleId) -> Path:
        """Where this very bundle lies. Raises DigestMismatch where it is gone or changed."""
        for root in self._roots():
            folder = root / pipeline / bundle.version
            manifest = folder / "manifest.json"
            if manifest.is_file() and sha256_of(manifest) == bundle.sha256:
                return folder
        raise DigestMismatch(
            f"The bundle {pipeline} {bundle.version} is gone or was changed: put it back, or "
            "promote another version."
        )

    def find(self, pipeline: str, version: str) -> BundleId:
        """The bundle of this version. Raises UnknownModel."""
        known = [folder for folder in self.folders() if folder.parent.name == pipeline]
        found = next((folder for folder in known if folder.name == version), None)
        if found is None:
            names = ", ".join(folder.name for folder in known) or "none"
            raise UnknownModel(f"There is no {pipeline} {version} here. Known: {names}.")
        return _id_of(found)

    def folders(self) -> Iterator[Path]:
        """Every bundle's folder."""
        for root in self._roots():
            yield from find_bundles(root)

    def add(self, source: Path, trust: Trust) -> BundleId:
        """Copy a bundle into the installation, durably; it is not live before it is promoted.

        Raises BundleError, or ModelConflict where there is another one of this version.
        """
        if self.added is None:
            raise ModelConflict("Bundles can't be added here.")
        check_signature(source, trust)
        manifest = load_bundle(source).manifest
        name, version = manifest.pipeline, manifest.version
        version_key(version)
        if not name.isidentifier():
            raise ManifestInvalid(f"{source}: {name} is not the name of a pipeline.")
        for folder in self.folders():
            if (folder.parent.name, folder.name) == (name, version):
                if _id_of(folder).sha256 != _id_of(source).sha256:
                    raise ModelConflict(f"There is another {name} {version} already.")
                return _id_of(folder)
        _copy_durably(source, self.added / name / version)
        return _id_of(self.added / name / version)

    def _roots(self) -> tuple[Path, ...]:
        return (self.root,) if self.added is None else (self.root, self.added)


def _id_of(folder: Path) -> BundleId:
    return BundleId(folder.name, sha256_of(folder / "manifest.json"))


def _copy_durably(source: Path, target: Path) -> None:
    """All of it or nothing: a hidden folder is no bundle."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    for path in (*partial.iterdir(), partial):
        _sync(path)
    partial.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
