"""A study that comes again after everything of it was removed is analysed again, and not lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, route, toy_core
from willis_models.errors import NotReady
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.storage.retention import SqlHoldings
from willis_service.application.delivery.plan import PlanDeliveries
from willis_service.application.retention import Retain
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.delivering import packer_of
from willis_service.bootstrap.ledger import outbox_of
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.retention import Policy

DAY = timedelta(days=1)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(14, 32, 32))


def send(toy: Toy, files: list[Path]) -> str:
    for path in files:
        toy.core.intake.take(uploaded_instance(path))
    uid = uploaded_instance(files[0]).study_instance_uid
    return route(toy.core, uid).id


def remove_everything(toy: Toy) -> int:
    PlanDeliveries(outbox_of(toy.core), packer_of(toy.core), [], toy.clock)()
    toy.clock.now += 31 * DAY
    policy = Policy(instances_after=DAY, results_after=DAY)
    holdings = SqlHoldings(toy.core.database, toy.core.settings.data_dir)
    with toy.core.database.write() as connection:
        connection.exec_driver_sql("UPDATE study SET open_since = NULL")
    return Retain(holdings, policy, lambda: 10**12, toy.clock)()


def test_a_study_that_comes_again_is_analysed_again(tmp_path, files):
    toy = toy_core(tmp_path)
    job = send(toy, files)
    toy.run(job)
    assert remove_everything(toy) == 2
    assert list((toy.core.settings.data_dir / "studies").rglob("*.dcm")) == []
    with pytest.raises(NotReady, match="purged"):
        desk_of(toy.core).result_path(job, ResultKind.SEG)

    again = send(toy, files)
    queued = toy.core.jobs.get(job)
    toy.run(again)

    assert (again, queued.state) == (job, JobState.QUEUED)
    done = toy.core.jobs.get(job)
    assert (done.state, done.results_purged_at) == (JobState.SUCCEEDED, None)
    assert desk_of(toy.core).result_path(job, ResultKind.SEG).exists()


def test_a_study_that_comes_again_while_its_results_are_kept_changes_nothing(tmp_path, files):
    toy = toy_core(tmp_path)
    job = send(toy, files)
    toy.run(job)
    before = toy.core.jobs.get(job)

    assert send(toy, files) == job
    assert toy.core.jobs.get(job) == replace(before)
