"""The database as it is in operation: SQLite always, PostgreSQL where its server is installed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.databases import at_once
from willis_models.errors import DatabaseUnavailable, UploadTooLarge
from willis_service.adapters.storage.database import migrate, open_database
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.tables import METADATA, WORKER
from willis_service.adapters.storage.workers import KEEPING, SqlWorkers
from willis_service.domain.instance import Arrival, Receipt, StoredInstance, StudyLimits

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


def instance(sop: str = "1.2.1", sha256: str = "a" * 64) -> StoredInstance:
    return StoredInstance("1.2", "1.2.9", sop, "1.2.840", "1.2.840", sha256, "p", 1, "CT", NOW)


def add(studies: SqlStudies, one: StoredInstance) -> Receipt | UploadTooLarge:
    (outcome,) = studies.add_all([Arrival(one, True, StudyLimits(100, 1000))], lambda: False)
    return outcome


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(database):
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = compare_metadata(context, METADATA)

    assert differences == []


def test_migrating_twice_and_by_several_processes_at_once_is_harmless(tmp_path):
    url = f"sqlite:///{tmp_path / 'new.sqlite'}"

    def bring_up(_number: int) -> None:
        opened = open_database(url)
        migrate(opened)
        opened.close()

    at_once(4, bring_up)

    opened = open_database(url)
    assert SqlJobs(opened).recent(1) == []
    opened.close()


def test_sqlite_keeps_what_it_was_told_when_the_power_fails(tmp_path):
    opened = open_database(f"sqlite:///{tmp_path / 'willis.sqlite'}")
    with opened.read() as connection:
        journal = connection.execute(text("PRAGMA journal_mode")).scalar()
        synchronous = connection.execute(text("PRAGMA synchronous")).scalar()
    opened.close()

    assert (journal, synchronous) == ("wal", 2)  # 2 is FULL: each commit is on disk


def test_many_senders_at_once_lose_nothing(database):
    studies = SqlStudies(database)

    receipts = at_once(8, lambda n: add(studies, instance(f"1.2.{n}")))

    assert receipts == [Receipt.STORED] * 8
    assert len(studies.instances("1.2")) == 8


def test_of_two_senders_with_other_bytes_under_one_uid_one_is_first(database):
    studies = SqlStudies(database)

    receipts = at_once(2, lambda n: add(studies, instance(sha256=str(n) * 64)))

    assert sorted(receipts) == [Receipt.CONFLICT, Receipt.STORED]
    assert studies.count_conflicts("1.2") == 1


def test_a_worker_is_present_while_it_beats(database):
    workers = SqlWorkers(database)
    workers.sign_in("w1", ["toy 1.0.0"], NOW)
    workers.sign_in("w2", ["toy 1.0.0"], NOW)
    workers.beat("w1", ["toy 1.0.0"], NOW + timedelta(seconds=60))

    present = workers.count_present(NOW + timedelta(seconds=60), timedelta(seconds=30))
    workers.forget(NOW + timedelta(seconds=30))
    workers.sign_out("w1")

    assert (present, workers.count_present(NOW, timedelta(hours=1))) == (1, 0)


def test_a_beat_from_before_the_clock_was_set_back_proves_no_presence(database):
    workers = SqlWorkers(database)
    workers.sign_in("w1", [], NOW)

    assert workers.count_present(NOW - timedelta(hours=1), timedelta(seconds=60)) == 0


def test_a_worker_that_was_struck_off_is_there_again_at_its_next_beat(database):
    workers = SqlWorkers(database)
    workers.sign_in("w1", ["toy 1.0.0"], NOW)
    workers.forget(NOW + timedelta(hours=1))

    workers.beat("w1", ["toy 1.0.0"], NOW + timedelta(seconds=5))

    assert workers.count_present(NOW + timedelta(seconds=5), timedelta(seconds=30)) == 1


def test_each_role_has_a_roll_of_its_own(database):
    SqlWorkers(database, KEEPING).sign_in("keeper", [], NOW)

    assert SqlWorkers(database).count_present(NOW, timedelta(seconds=60)) == 0
    assert SqlWorkers(database, KEEPING).count_present(NOW, timedelta(seconds=60)) == 1


def test_an_error_of_the_database_quotes_no_value(database):
    with pytest.raises(IntegrityError) as caught, database.write() as connection:
        for _ in range(2):
            connection.execute(
                WORKER.insert().values(id="w", started_at=NOW, beat_at=NOW, models=["Doe"])
            )

    assert "Doe" not in str(caught.value) and "hidden" in str(caught.value)


def test_a_database_that_somebody_holds_for_too_long_is_named_as_such(tmp_path):
    url = f"sqlite:///{tmp_path / 'willis.sqlite'}"
    opened, hasty = open_database(url), open_database(url, busy_s=0.05)
    migrate(opened)

    with opened.write(), pytest.raises(DatabaseUnavailable), hasty.write():
        raise AssertionError("Nobody else may write now.")

    opened.close()
    hasty.close()
