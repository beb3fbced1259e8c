"""The database as it is in operation: SQLite always, PostgreSQL where its server is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.folders import ResultFolders
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.adapters.storage.tables import METADATA
from willis_service.adapters.storage.workers import SqlWorkers
from willis_service.domain.instance import Receipt, StoredInstance
from willis_service.domain.job import (
    BundleId,
    Ending,
    JobOrder,
    JobState,
    ResultKind,
    Run,
)

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
ORDER = JobOrder("1.2", "toy", BundleId("1.0.0", "a" * 64), "f" * 64, ("a.dcm", "b.dcm"))


def _postgres_bin() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    binaries = _postgres_bin()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    data = folder / "pg"
    folder.chmod(0o755)
    data.mkdir()
    if as_user:
        shutil.chown(data, "postgres")

    def run(*command: str) -> None:
        full = [*as_user, *command]
        subprocess.run(full, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60)

    run(str(binaries / "initdb"), "-D", str(data), "-U", "willis", "-A", "trust", "--no-sync")
    options = f"-k {data} -c listen_addresses='' -c fsync=off"
    control = (str(binaries / "pg_ctl"), "-D", str(data), "-w")
    run(*control, "-o", options, "-l", str(data / "log"), "start")
    try:
        yield f"postgresql+psycopg://willis@/postgres?host={data}"
    finally:
        run(*control, "-m", "immediate", "stop")


@pytest.fixture(scope="module")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # pytest's own folders are closed to the database's user; this one is not below them.
    import tempfile

    with tempfile.TemporaryDirectory() as folder, _postgres(Path(folder)) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'willis.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
    opened = open_database(url)
    migrate(opened)
    yield opened
    with opened.write() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    opened.close()


def instance(sop: str = "1.2.1", sha256: str = "a" * 64) -> StoredInstance:
    return StoredInstance("1.2", "1.2.9", sop, "1.2.840", "1.2.840", sha256, "p", 1, "CT", NOW)


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    barrier = threading.Barrier(count)

    def one(number: int) -> object:
        barrier.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


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

    receipts = at_once(8, lambda n: studies.add(instance(f"1.2.{n}"), True, 100))

    assert receipts == [Receipt.STORED] * 8
    assert len(studies.instances("1.2")) == 8


def test_of_two_senders_with_other_bytes_under_one_uid_one_is_first(database):
    studies = SqlStudies(database)

    receipts = at_once(2, lambda n: studies.add(instance(sha256=str(n) * 64), True, 100))

    assert sorted(receipts) == [Receipt.CONFLICT, Receipt.STORED]
    assert studies.count_conflicts("1.2") == 1


def test_of_two_that_order_the_same_job_one_makes_it(database):
    jobs = SqlJobs(database)

    answers = at_once(2, lambda _: jobs.order(ORDER, NOW))

    assert sorted(is_new for _, is_new in answers) == [False, True]
    assert len({job.id for job, _ in answers}) == 1


def test_of_two_workers_that_claim_a_job_one_gets_it(database):
    jobs = SqlJobs(database)
    job, _ = jobs.order(ORDER, NOW)

    runs = [run for run in at_once(4, lambda _: jobs.claim(job.id, NOW)) if run is not None]

    assert [(run.attempt, run.inputs) for run in runs] == [(1, ("a.dcm", "b.dcm"))]


def test_a_job_comes_back_as_it_was_stored(database):
    jobs = SqlJobs(database)
    job, _ = jobs.order(ORDER, NOW)
    run = jobs.claim(job.id, NOW)
    results = (ResultKind.SR, ResultKind.FINDINGS)
    ending = Ending(JobState.REJECTED, results, "NOT_A_HEAD", "A foot.")

    jobs.finish(run, ending, NOW + timedelta(seconds=9))

    found = jobs.get(job.id)
    assert (found.state, found.results, found.error_code) == ("rejected", results, "NOT_A_HEAD")
    assert found.created_at == NOW and found.finished_at - found.started_at == timedelta(seconds=9)


def test_a_worker_is_present_while_it_beats(database):
    workers = SqlWorkers(database)
    workers.sign_in("w1", ["toy 1.0.0"], NOW)
    workers.sign_in("w2", ["toy 1.0.0"], NOW)
    workers.beat("w1", NOW + timedelta(seconds=60))

    present = workers.count_present(NOW + timedelta(seconds=30))
    workers.forget(NOW + timedelta(seconds=30))
    workers.sign_out("w1")

    assert (present, workers.count_present(NOW)) == (1, 0)


def test_results_are_there_in_full_or_not_at_all(tmp_path):
    folders = ResultFolders(tmp_path)
    run = _run()

    with pytest.raises(RuntimeError), folders.stage(run) as folder:
        (folder / "seg.dcm").write_text("half")
        raise RuntimeError("the writer died")

    assert list(tmp_path.iterdir()) == []


def test_results_of_a_later_attempt_take_the_place_of_earlier_ones(tmp_path):
    folders = ResultFolders(tmp_path)
    run = _run()
    for content in ("first", "second"):
        with folders.stage(run) as folder:
            (folder / ResultKind.SEG).write_text(content)
            folders.publish(run, folder)

    assert [path.name for path in tmp_path.iterdir()] == [run.job.id]
    assert folders.path(run.job.id, ResultKind.SEG).read_text() == "second"


def _run() -> Run:
    from willis_service.domain.job import Job

    order = replace(ORDER)
    identity = (order.pipeline, "1.0.0", "a" * 64, order.input_fingerprint)
    return Run(Job(order.job_id, "1.2", *identity, JobState.RUNNING, NOW, attempts=1), ())
