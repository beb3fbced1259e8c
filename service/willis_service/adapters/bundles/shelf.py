"""Which bundle is current, and the loaded models of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from willis_models.errors import BundleError, DigestMismatch, ManifestInvalid, UnknownPipeline
from willis_models.manifest import sha256_of
from willis_models.pipelines.base import Pipeline
from willis_models.runtime.bundle import find_bundles, load_bundle
from willis_models.runtime.session import open_predictor, replay_golden
from willis_service.application.ports import Model
from willis_service.domain.job import BundleId

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Bundles:
    """The bundles below ``root``. A bundle's identity is the digest of its manifest."""

    root: Path

    def current(self, pipeline: str) -> BundleId:
        """The latest bundle of the pipeline. Raises ManifestInvalid where there is none."""
        folders = [folder for folder in find_bundles(self.root) if folder.parent.name == pipeline]
        if not folders:
            raise ManifestInvalid(f"No bundle of the model {pipeline} under {self.root}.")
        return BundleId(folders[-1].name, sha256_of(folders[-1] / "manifest.json"))

    def folder(self, pipeline: str, bundle: BundleId) -> Path:
        """Where this very bundle lies. Raises DigestMismatch where it is gone or changed."""
        folder = self.root / pipeline / bundle.version
        manifest = folder / "manifest.json"
        if not manifest.is_file() or sha256_of(manifest) != bundle.sha256:
            raise DigestMismatch(f"The bundle {pipeline} {bundle.version} of this job is gone.")
        return folder


@dataclass(frozen=True)
class LoadedModels:
    """Loads a model once, and only gives it out after it reproduced its golden vectors."""

    pipelines: Mapping[str, Pipeline]
    bundles: Bundles
    provider: str
    threads: int
    _loaded: dict[tuple[str, BundleId], Model] = field(default_factory=dict, repr=False)

    def take(self, pipeline: str, bundle: BundleId) -> Model:
        """The model of a job. Raises UnknownPipeline or BundleError."""
        key = (pipeline, bundle)
        if key not in self._loaded:
            self._loaded[key] = self._load(pipeline, bundle)
        return self._loaded[key]

    def warm_up(self) -> tuple[str, ...]:
        """Load the current model of every pipeline; their names with versions."""
        names = []
        for pipeline in self.pipelines:
            bundle = self.bundles.current(pipeline)
            self.take(pipeline, bundle)
            names.append(f"{pipeline} {bundle.version}")
        return tuple(names)

    def _load(self, pipeline: str, bundle: BundleId) -> Model:
        if pipeline not in self.pipelines:
            raise UnknownPipeline(f"The pipeline {pipeline} is not enabled here.")
        loaded = load_bundle(self.bundles.folder(pipeline, bundle))
        if loaded.manifest.pipeline != pipeline:
            raise BundleError(f"{loaded.folder} is a bundle of {loaded.manifest.pipeline}.")
        predictor = open_predictor(loaded, self.provider, self.threads)
        drift = replay_golden(loaded, predictor)
        _LOG.info("model_ready", model=pipeline, version=bundle.version, golden_difference=drift)
        return Model(self.pipelines[pipeline], loaded.manifest, loaded.assets, predictor)
