"""The loaded models of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from willis_models.errors import BundleError, UnknownPipeline
from willis_models.pipelines.base import Pipeline
from willis_models.runtime.bundle import load_bundle
from willis_models.runtime.session import open_predictor, replay_golden
from willis_models.runtime.signature import Trust, check_signature
from willis_service.adapters.bundles.stock import Bundles
from willis_service.application.ports import Model
from willis_service.domain.job import BundleId

_LOG = structlog.get_logger(__name__)
# The live one, its candidate, and the one before for jobs that were accepted with it.
_KEPT = 3


@dataclass(frozen=True)
class LoadedModels:
    """Loads a model once, and only gives it out after it proved itself.

    Its maker is trusted, its files are those that were signed, and it reproduces its golden vectors
    on this machine. The models used last stay in memory.
    """

    pipelines: Mapping[str, Pipeline]
    bundles: Bundles
    trust: Trust
    provider: str
    threads: int
    engines: Path | None = None
    _loaded: dict[tuple[str, BundleId], Model] = field(default_factory=dict, repr=False)

    def take(self, pipeline: str, bundle: BundleId) -> Model:
        """The model of a job. Raises UnknownPipeline or BundleError."""
        key = (pipeline, bundle)
        model = self._loaded.pop(key, None) or self._load(pipeline, bundle)
        self._loaded[key] = model
        while len(self._loaded) > max(_KEPT, len(self.pipelines)):
            del self._loaded[next(iter(self._loaded))]
        return model

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
        folder = self.bundles.folder(pipeline, bundle)
        standing = check_signature(folder, self.trust)
        loaded = load_bundle(folder)
        if loaded.manifest.pipeline != pipeline:
            raise BundleError(f"{loaded.folder} is a bundle of {loaded.manifest.pipeline}.")
        predictor = open_predictor(loaded, self.provider, self.threads, self.engines)
        drift = replay_golden(loaded, predictor)
        _LOG.info(
            "model_ready",
            model=pipeline,
            version=bundle.version,
            golden_difference=drift,
            signature=standing.state,
            signer=standing.signer,
        )
        return Model(self.pipelines[pipeline], loaded.manifest, loaded.assets, predictor)
