"""An installation in a temporary folder: real database, folders and network, a queue in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.databases import put_empty_sqlite
from tests.hand_clock import START, HandClock
from tests.toy_pipeline import toy_pipelines, write_toy_bundle
from willis_models.errors import BrokerUnavailable
from willis_models.pipelines.base import Pipeline
from willis_service.application.analyse import RunJob
from willis_service.application.no_result import RaiseAlarms
from willis_service.application.queue_desk import QueueDesk
from willis_service.application.reconcile import Reconcile
from willis_service.application.routing import Dispatch
from willis_service.application.watch import Watch
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.core import Core, build_core
from willis_service.bootstrap.keeping import alarms_of, reconciler_of
from willis_service.bootstrap.working import worker_of
from willis_service.domain.instance import IncomingInstance
from willis_service.domain.job import Job
from willis_service.settings import load_settings


@dataclass
class MemoryQueue:
    """A broker in memory, which can be away."""

    analyses: list[str] = field(default_factory=list)
    is_away: bool = False

    def put_analysis(self, job_id: str) -> None:
        self._answer()
        self.analyses.append(job_id)

    def put_canary(self, worker_id: str) -> None:
        self._answer()

    def depth(self) -> int:
        self._answer()
        return len(self.analyses)

    def _answer(self) -> None:
        if self.is_away:
            raise BrokerUnavailable("The queue is away.")


@dataclass(frozen=True)
class Toy:
    """An installation and the parts that a test turns."""

    core: Core
    queue: MemoryQueue
    clock: HandClock

    def run(self, job_id: str) -> None:
        self.runner()(job_id)

    def runner(self, **changes: Any) -> RunJob:
        """What a worker does, with other parts where a test needs them."""
        made = worker_of(self.core).run_job
        return replace(made, clock=self.clock, **changes)

    def stopwatch(self) -> float:
        """A monotonic clock that goes with the hand clock."""
        return (self.clock.now - START).total_seconds()

    def reconciler(self) -> Reconcile:
        """What the keeper does every few seconds; it remembers between its rounds."""
        watch = Watch(self.stopwatch)
        return replace(reconciler_of(self.core), clock=self.clock, watch=watch)

    def alarms(self) -> RaiseAlarms:
        """The keeper's watch over studies without a result."""
        made, watch = alarms_of(self.core), Watch(self.stopwatch)
        write = replace(made.write, clock=self.clock)
        return replace(made, write=write, clock=self.clock, watch=watch)

    def queue_desk(self) -> QueueDesk:
        """What a person asks of the queue."""
        made = desk_of(self.core).queue
        assert isinstance(made, QueueDesk)
        admit = replace(made.admit, clock=self.clock)
        return replace(made, admit=admit, clock=self.clock)


def toy_core(
    folder: Path,
    pipelines: Callable[[], Mapping[str, Pipeline]] = toy_pipelines,
    **given: Any,
) -> Toy:
    if not (folder / "bundles").exists():
        write_toy_bundle(folder / "bundles")
    settings = load_settings(
        {},
        data_dir=folder / "data",
        **{
            "bundle_root": folder / "bundles",
            "require_signature": False,
            "disk_reserve_mb": 1,
            "broker_url": "redis+socket:///nowhere",
            **given,
        },
    )
    put_empty_sqlite(folder / "data" / "willis.sqlite")
    core, queue, clock = build_core(settings, pipelines), MemoryQueue(), HandClock()
    dispatch = Dispatch(queue, core.jobs, clock)
    routing = replace(core.routing, dispatch=dispatch, clock=clock)
    intake = replace(core.intake, clock=clock)
    parts: dict[str, Any] = {"queue": queue, "dispatch": dispatch}
    return Toy(replace(core, **parts, routing=routing, intake=intake), queue, clock)


def route(core: Core, study_instance_uid: str) -> Job:
    """Order the toy pipeline for a study by name, whatever the rules say of it."""
    instances, routing = core.studies.instances(study_instance_uid), core.routing
    choice = routing.choice(instances, core.pipelines["toy"])
    return routing.place(routing.order(study_instance_uid, instances, "toy", choice))


def incoming(
    sop: str = "1.2.3.1", study: str = "1.2.3", content: bytes = b"pixels", **given: Any
) -> IncomingInstance:
    return IncomingInstance(
        study_instance_uid=study,
        series_instance_uid="1.2.3.9",
        sop_instance_uid=sop,
        sop_class_uid=given.get("sop_class", "1.2.840.10008.5.1.4.1.1.2"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sender="SCANNER",
        header=b"header",
        data_set=content,
    )
