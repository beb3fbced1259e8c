"""Decisions about models, and shadow runs, in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, text

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import MODEL_DECISION, SHADOW_RUN
from willis_service.domain.job import BundleId
from willis_service.domain.models import ModelAction, ModelDecision
from willis_service.domain.shadow import ShadowRun

_SAME_IN_BOTH = (
    "job_id",
    "pipeline",
    "at",
    "live_status",
    "live_s",
    "candidate_status",
    "candidate_s",
    "error_code",
    "changed_states",
)


@dataclass(frozen=True)
class SqlModelRecord:
    """What was decided about the models; rows are only ever added."""

    database: Database

    def decisions(self, pipeline: str) -> Sequence[ModelDecision]:
        """The decisions about one pipeline, oldest first."""
        with self.database.read() as connection:
            return _decisions(connection, pipeline)

    def decide(
        self, pipeline: str, make: Callable[[Sequence[ModelDecision]], ModelDecision]
    ) -> ModelDecision:
        """Add a decision made in view of those before it; nobody else decides meanwhile."""
        with self.database.write() as connection:
            if connection.dialect.name == "postgresql":  # SQLite's writers take turns anyway
                connection.execute(text("LOCK TABLE model_decision IN EXCLUSIVE MODE"))
            decision = make(_decisions(connection, pipeline))
            connection.execute(insert(MODEL_DECISION).values(_decision_row(decision)))
            return decision


@dataclass(frozen=True)
class SqlShadowBook:
    """The comparisons of candidates with the live model."""

    database: Database

    def record(self, run: ShadowRun) -> None:
        """Keep a run, in place of an earlier one of the same job and candidate."""
        columns = SHADOW_RUN.c
        same = and_(columns.job_id == run.job_id, columns.candidate_sha256 == run.candidate.sha256)
        with self.database.write() as connection:
            connection.execute(delete(SHADOW_RUN).where(same))
            connection.execute(insert(SHADOW_RUN).values(_run_row(run)))

    def runs(self, pipeline: str) -> Sequence[ShadowRun]:
        """Every run of a pipeline, newest first."""
        query = select(SHADOW_RUN).where(SHADOW_RUN.c.pipeline == pipeline)
        newest = query.order_by(SHADOW_RUN.c.at.desc(), SHADOW_RUN.c.id.desc())
        with self.database.read() as connection:
            return [_run_of(row) for row in connection.execute(newest)]


def _decisions(connection: Connection, pipeline: str) -> list[ModelDecision]:
    query = select(MODEL_DECISION).where(MODEL_DECISION.c.pipeline == pipeline)
    rows = connection.execute(query.order_by(MODEL_DECISION.c.id))
    return [_decision_of(row) for row in rows]


def _decision_row(one: ModelDecision) -> dict[str, Any]:
    bundle, before = one.bundle, one.before
    return {
        "pipeline": one.pipeline,
        "action": str(one.action),
        "version": bundle.version if bundle else None,
        "sha256": bundle.sha256 if bundle else None,
        "before_version": before.version if before else None,
        "before_sha256": before.sha256 if before else None,
        "who": one.who,
        "why": one.why,
        "at": one.at,
    }


def _decision_of(row: Row[Any]) -> ModelDecision:
    return ModelDecision(
        pipeline=row.pipeline,
        action=ModelAction(row.action),
        bundle=BundleId(row.version, row.sha256) if row.sha256 else None,
        who=row.who,
        why=row.why,
        at=row.at,
        before=BundleId(row.before_version, row.before_sha256) if row.before_sha256 else None,
    )


def _run_row(run: ShadowRun) -> dict[str, Any]:
    return {
        **{name: getattr(run, name) for name in _SAME_IN_BOTH},
        "live_version": run.live.version,
        "live_sha256": run.live.sha256,
        "candidate_version": run.candidate.version,
        "candidate_sha256": run.candidate.sha256,
        "score_changes": dict(run.score_changes),
        "dice": dict(run.dice),
    }


def _run_of(row: Row[Any]) -> ShadowRun:
    same = {name: getattr(row, name) for name in _SAME_IN_BOTH}
    return ShadowRun(
        **same,
        live=BundleId(row.live_version, row.live_sha256),
        candidate=BundleId(row.candidate_version, row.candidate_sha256),
        score_changes=row.score_changes,
        dice=row.dice,
    )
