"""What became of each study, in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import delete, insert, select

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.tables import STUDY_OUTCOME
from willis_service.domain.completeness import Basis
from willis_service.domain.study import Decision, OutcomeCode, StudyOutcome


@dataclass(frozen=True)
class SqlStudyOutcomes:
    """The latest outcome of each study."""

    database: Database

    def record(self, outcome: StudyOutcome) -> None:
        """Keep the outcome in place of an earlier one."""
        this = STUDY_OUTCOME.c.study_instance_uid == outcome.study_instance_uid
        values = vars(outcome) | {"decisions": [asdict(one) for one in outcome.decisions]}
        with self.database.write() as connection:
            connection.execute(delete(STUDY_OUTCOME).where(this))
            connection.execute(insert(STUDY_OUTCOME).values(values))

    def study_outcome(self, study_instance_uid: str) -> StudyOutcome | None:
        """The latest outcome; None for a study that was not routed (yet)."""
        this = STUDY_OUTCOME.c.study_instance_uid == study_instance_uid
        with self.database.read() as connection:
            row = connection.execute(select(STUDY_OUTCOME).where(this)).first()
        if row is None:
            return None
        values = dict(row._mapping)
        values["code"] = OutcomeCode(values["code"])
        values["decisions"] = tuple(_decision(one) for one in values["decisions"])
        return StudyOutcome(**values)


def _decision(stored: Mapping[str, Any]) -> Decision:
    return Decision(
        pipeline=stored["pipeline"],
        job_id=stored["job_id"],
        basis=None if stored["basis"] is None else Basis(stored["basis"]),
        rules=tuple(stored["rules"]),
        reasons=tuple(stored["reasons"]),
    )
