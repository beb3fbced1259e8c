"""Every bundle as a reader sees it: its card, its role, and who signed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from willis_models.errors import BundleError
from willis_models.manifest import read_manifest, sha256_of
from willis_models.runtime.signature import PublicKey, Standing, Trust, check_signature, standing_of
from willis_service.adapters.bundles.stock import Bundles
from willis_service.application.ports.models import ModelEntry
from willis_service.domain.job import BundleId
from willis_service.domain.models import ModelRole

_Trait = tuple[tuple[PublicKey, ...], tuple[tuple[str, int, int], ...]]


@dataclass(frozen=True)
class Catalogued:
    """The bundles with role and signature; serves the port ModelStock.

    Files are hashed again only where their size or time changed: this is for showing. A worker
    hashes each file when it loads a bundle.
    """

    bundles: Bundles
    trust: Callable[[], Trust]
    _known: dict[Path, tuple[_Trait, Standing]] = field(default_factory=dict, repr=False)

    def current(self, pipeline: str) -> BundleId:
        """The live bundle."""
        return self.bundles.current(pipeline)

    def find(self, pipeline: str, version: str) -> BundleId:
        """The bundle of this version."""
        return self.bundles.find(pipeline, version)

    def add(self, folder: Path) -> BundleId:
        """Copy a bundle into the installation."""
        return self.bundles.add(folder, self.trust())

    def entries(self) -> Sequence[ModelEntry]:
        """Every bundle. Raises BundleError for a damaged one."""
        return [self._entry(folder) for folder in self.bundles.folders()]

    def fault(self, pipeline: str) -> str | None:
        """Why the live bundle would not be run; None where it would be."""
        try:
            trust = self.trust()
            folder = self.bundles.folder(pipeline, self.bundles.current(pipeline))
            if self._standing(folder, trust.keys).state != "valid":
                check_signature(folder, trust)
        except BundleError as error:
            return error.message
        return None

    def _entry(self, folder: Path) -> ModelEntry:
        manifest = read_manifest(folder / "manifest.json")
        bundle = BundleId(folder.name, sha256_of(folder / "manifest.json"))
        standing = self._standing(folder, self.trust().keys)
        role = self._role(folder.parent.name, bundle)
        return ModelEntry(manifest, bundle, role, standing.state, standing.signer)

    def _role(self, pipeline: str, bundle: BundleId) -> ModelRole:
        try:
            if self.bundles.current(pipeline) == bundle:
                return ModelRole.LIVE
        except BundleError:
            pass  # the chosen one is gone: none of those that are there is live
        is_shadow = self.bundles.candidate(pipeline) == bundle
        return ModelRole.SHADOW if is_shadow else ModelRole.NONE

    def _standing(self, folder: Path, keys: tuple[PublicKey, ...]) -> Standing:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        facts = [(path, path.stat()) for path in files]
        trait = keys, tuple((path.name, one.st_size, one.st_mtime_ns) for path, one in facts)
        known = self._known.get(folder)
        if known is None or known[0] != trait:
            self._known[folder] = known = (trait, standing_of(folder, keys))
        return known[1]
