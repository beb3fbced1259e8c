"""Versions of models: what is there, what was decided about them, and shadow runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from willis_models.manifest import Manifest
from willis_service.domain.job import BundleId
from willis_service.domain.models import ModelDecision, ModelRole
from willis_service.domain.shadow import ShadowRun


@dataclass(frozen=True)
class ModelEntry:
    """One bundle of this installation. ``signature`` is valid, missing, invalid or not trusted."""

    manifest: Manifest
    bundle: BundleId
    role: ModelRole
    signature: str
    signer: str | None


class ModelRecord(Protocol):
    """What was decided about the models, in the order of the decisions."""

    def decisions(self, pipeline: str) -> Sequence[ModelDecision]:
        """The decisions about one pipeline, oldest first."""
        ...

    def decide(
        self, pipeline: str, make: Callable[[Sequence[ModelDecision]], ModelDecision]
    ) -> ModelDecision:
        """Add a decision made in view of those before it; nobody else decides meanwhile."""
        ...


class ShadowBook(Protocol):
    """The comparisons of candidates with the live model."""

    def record(self, run: ShadowRun) -> None:
        """Keep a run, in place of an earlier one of the same job and candidate."""
        ...

    def runs(self, pipeline: str) -> Sequence[ShadowRun]:
        """Every run of a pipeline, newest first."""
        ...


class ModelStock(Protocol):
    """The bundles that are there."""

    def current(self, pipeline: str) -> BundleId:
        """The live bundle. Raises BundleError where it is gone."""
        ...

    def find(self, pipeline: str, version: str) -> BundleId:
        """The bundle of this version. Raises UnknownModel."""
        ...

    def entries(self) -> Sequence[ModelEntry]:
        """Every bundle. Raises BundleError for a damaged one."""
        ...

    def add(self, folder: Path) -> BundleId:
        """Copy a bundle into the installation. Raises BundleError or ModelConflict."""
        ...
