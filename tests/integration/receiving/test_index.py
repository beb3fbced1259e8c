"""Rows of received instances on SQLite and PostgreSQL: counted, limited, restored, flushed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from willis_models.errors import UploadTooLarge
from willis_service.adapters.storage.lazy import flush, open_lazy
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.tables import INSTANCE, STUDY
from willis_service.domain.instance import Arrival, Receipt, StoredInstance, StudyLimits

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
LIMITS = StudyLimits(max_instances=3, max_bytes=100)


def instance(sop: str, sha256: str = "a", size: int = 10, study: str = "1.2") -> StoredInstance:
    place = f"{study}/{sop}/{sha256}"
    return StoredInstance(study, "1.2.9", sop, "1.2", "1.2", sha256 * 64, place, size, "CT", NOW)


def add(studies: SqlStudies, *instances: StoredInstance, opens: bool = True) -> list[object]:
    arrivals = [Arrival(one, opens, LIMITS) for one in instances]
    outcomes = studies.add_all(arrivals, lambda: False)
    return [type(o) if isinstance(o, UploadTooLarge) else o for o in outcomes]


def test_a_group_goes_in_together_and_each_gets_its_own_answer(database):
    studies = SqlStudies(database)
    add(studies, instance("1"))

    outcomes = add(
        studies,
        instance("1"),
        instance("1", "b"),
        instance("2"),
        instance("2"),
        instance("3"),
        instance("9", study="1.3"),
    )

    assert outcomes == [
        Receipt.DUPLICATE,
        Receipt.CONFLICT,
        Receipt.STORED,
        Receipt.DUPLICATE,
        UploadTooLarge,
        Receipt.STORED,
    ]
    assert [one.sop_instance_uid for one in studies.instances("1.2")] == ["1", "2"]
    with database.read() as connection:
        counts = connection.execute(
            select(STUDY.c.instance_count, STUDY.c.size_bytes).order_by(STUDY.c.study_instance_uid)
        ).all()
    assert [tuple(row) for row in counts] == [(3, 30), (1, 10)]


def test_a_study_may_grow_to_a_number_of_bytes(database):
    studies = SqlStudies(database)

    assert add(studies, instance("1", size=60), instance("2", size=50)) == [
        Receipt.STORED,
        UploadTooLarge,
    ]
    assert add(studies, instance("3", size=40)) == [Receipt.STORED]


def test_an_instance_whose_bytes_were_purged_is_stored_anew(database):
    studies = SqlStudies(database)
    add(studies, instance("1"))
    with database.write() as connection:
        connection.execute(update(INSTANCE).values(purged_at=NOW))
    again = replace(instance("1"), path="elsewhere", received_at=NOW + timedelta(days=9))

    assert add(studies, again) == [Receipt.STORED]

    assert studies.find("1", "a" * 64) == again
    with database.read() as connection:
        assert connection.execute(select(INSTANCE.c.purged_at)).scalar_one() is None
        assert connection.execute(select(STUDY.c.instance_count)).scalar_one() == 1


def test_an_upload_that_names_its_pipeline_opens_no_study(database):
    studies = SqlStudies(database)

    add(studies, instance("1"), opens=False)
    assert studies.open_studies() == []

    add(studies, instance("2"))
    assert len(studies.open_studies()) == 1


def test_the_time_of_the_latest_instance_never_goes_back(database):
    studies = SqlStudies(database)
    add(studies, instance("1"))

    add(studies, replace(instance("2"), received_at=NOW - timedelta(hours=1)))

    (study,) = studies.open_studies()
    assert study.last_instance_at == NOW


def test_files_are_waited_for_before_anybody_sees_the_rows(database):
    studies, others = SqlStudies(database), SqlStudies(database)
    seen: list[int] = []

    def wait() -> bool:
        seen.append(len(others.instances("1.2")))
        return False

    studies.add_all([Arrival(instance("1"), True, LIMITS)], wait)

    assert (seen, len(others.instances("1.2"))) == ([0], 1)


def test_nothing_is_indexed_when_the_files_can_not_be_made_durable(database):
    studies = SqlStudies(database)

    def fail() -> bool:
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input"):
        studies.add_all([Arrival(instance("1"), True, LIMITS)], fail)

    assert studies.instances("1.2") == []


def test_lazy_commits_are_seen_at_once_and_flushed_on_demand(database):
    lazy = open_lazy(database.engine.url.render_as_string(hide_password=False))
    is_sqlite = database.engine.dialect.name == "sqlite"
    try:
        with lazy.read() as connection:
            setting = "PRAGMA synchronous" if is_sqlite else "SHOW synchronous_commit"
            assert connection.execute(text(setting)).scalar() == (1 if is_sqlite else "off")
        studies = SqlStudies(database, lazy)

        studies.add_all([Arrival(instance("1"), True, LIMITS)], lambda: True)
        flush(database)

        assert len(SqlStudies(database).instances("1.2")) == 1
    finally:
        lazy.close()
