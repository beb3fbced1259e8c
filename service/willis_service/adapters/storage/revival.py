"""A job that is asked for again after retention removed its results, or the images it read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, update

from willis_service.adapters.storage.job_rows import input_values
from willis_service.adapters.storage.superseding import is_replaced
from willis_service.adapters.storage.tables import JOB
from willis_service.domain.job import Job, JobOrder, JobState


def revive(connection: Connection, job: Job, order: JobOrder, now: datetime) -> bool:
    """Let the job read the images as they lie now; queue it if its results are gone.

    Within the caller's transaction. What is sent of the new results is what was never sent: the
    same input gives the same objects, and the ledger knows them.
    """
    idle = and_(JOB.c.id == job.id, JOB.c.state != JobState.RUNNING)
    changes: dict[str, Any] = input_values(order)
    is_gone = job.results_purged_at is not None and not is_replaced(connection, job.id)
    if is_gone:
        changes |= {
            "state": JobState.QUEUED,
            "priority": order.priority,
            "attempts": 0,
            "asked_at": now,
            "enqueued_at": now,
            "again_at": None,
            "finished_at": None,
            "error_code": None,
            "error_message": None,
            "notice_code": None,
            "notice_tries": 0,
            "results_purged_at": None,
        }
    connection.execute(update(JOB).where(idle).values(changes))
    return is_gone
