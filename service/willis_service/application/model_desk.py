"""What a person asks of the models: list, add, run in shadow, compare, promote, roll back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from willis_models.errors import ModelConflict, UnknownPipeline
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports import Clock
from willis_service.application.ports.models import (
    ModelEntry,
    ModelRecord,
    ModelStock,
    ShadowBook,
)
from willis_service.domain.job import BundleId
from willis_service.domain.models import ModelAction, ModelDecision, choice_of
from willis_service.domain.shadow import ShadowRun

_LOG = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ModelDesk:
    """Every decision goes into the record, with who made it and why.

    ``prove`` loads a bundle and replays it. Raises UnknownPipeline or BundleError.
    """

    pipelines: Mapping[str, Pipeline]
    stock: ModelStock
    record: ModelRecord
    book: ShadowBook
    prove: Callable[[str, BundleId], object]
    clock: Clock

    def entries(self) -> Sequence[ModelEntry]:
        """Every bundle with its role and its signature."""
        return self.stock.entries()

    def history(self, pipeline: str) -> Sequence[ModelDecision]:
        """What was decided, newest first."""
        return list(reversed(self.record.decisions(self._known(pipeline))))

    def add(self, folder: Path) -> BundleId:
        """Copy a bundle into the installation; it is not live before it is promoted."""
        return self.stock.add(folder)

    def promote(self, pipeline: str, version: str, who: str, why: str) -> ModelDecision:
        """Make a version live, once it proved itself here.

        Jobs that were accepted before keep their version.
        """
        bundle = self._proved(pipeline, version)
        before = self.stock.current(pipeline)
        if bundle == before:
            raise ModelConflict(f"{pipeline} {version} is live already.")

        def make(decisions: Sequence[ModelDecision]) -> ModelDecision:
            live = choice_of(decisions).live or before
            return self._decision(pipeline, ModelAction.PROMOTE, bundle, who, why, live)

        return self._decide(pipeline, make)

    def roll_back(self, pipeline: str, who: str, why: str) -> ModelDecision:
        """Make live again what was live before the last promotion.

        Raises ModelConflict where nothing was.
        """

        # Outside the transaction: it takes seconds, and nobody else could write meanwhile.
        earlier = choice_of(self.record.decisions(self._known(pipeline))).earlier
        self.prove(pipeline, earlier)

        def make(decisions: Sequence[ModelDecision]) -> ModelDecision:
            if choice_of(decisions).earlier != earlier:
                raise ModelConflict("Somebody else decided at this moment: look again.")
            return self._decision(pipeline, ModelAction.ROLL_BACK, earlier, who, why)

        return self._decide(pipeline, make)

    def shadow(self, pipeline: str, version: str, who: str, why: str) -> ModelDecision:
        """Let a version run beside the live one, in place of an earlier candidate."""
        bundle = self._proved(pipeline, version)
        if bundle == self.stock.current(pipeline):
            raise ModelConflict(f"{pipeline} {version} is live: it needs no shadow of itself.")
        made = ModelAction.SHADOW, bundle, who, why
        return self._decide(pipeline, lambda _: self._decision(pipeline, *made))

    def end_shadow(self, pipeline: str, who: str, why: str) -> ModelDecision:
        """Run no candidate any more. Raises ModelConflict where there is none."""

        def make(decisions: Sequence[ModelDecision]) -> ModelDecision:
            if choice_of(decisions).shadow is None:
                raise ModelConflict(f"No version of {pipeline} runs in shadow.")
            return self._decision(pipeline, ModelAction.END_SHADOW, None, who, why)

        return self._decide(self._known(pipeline), make)

    def shadow_runs(self, pipeline: str) -> Sequence[ShadowRun]:
        """What candidates were compared on, newest first."""
        return self.book.runs(self._known(pipeline))

    def _known(self, pipeline: str) -> str:
        if pipeline not in self.pipelines:
            known = ", ".join(sorted(self.pipelines)) or "none"
            raise UnknownPipeline(f"There is no pipeline {pipeline}. Known: {known}.")
        return pipeline

    def _proved(self, pipeline: str, version: str) -> BundleId:
        bundle = self.stock.find(self._known(pipeline), version)
        self.prove(pipeline, bundle)
        return bundle

    def _decision(
        self,
        pipeline: str,
        action: ModelAction,
        bundle: BundleId | None,
        who: str,
        why: str,
        before: BundleId | None = None,
    ) -> ModelDecision:
        return ModelDecision(pipeline, action, bundle, who, why, self.clock(), before)

    def _decide(
        self, pipeline: str, make: Callable[[Sequence[ModelDecision]], ModelDecision]
    ) -> ModelDecision:
        decision = self.record.decide(pipeline, make)
        version = decision.bundle.version if decision.bundle else None
        _LOG.info("model_decided", pipeline=pipeline, action=str(decision.action), version=version)
        return decision
