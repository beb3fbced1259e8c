"""Prometheus metrics of one process, in its own registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from willis_models.errors import WillisError
from willis_service.application.ports import QueueDesk
from willis_service.domain.alarm import AlarmKind
from willis_service.domain.job import Job, JobState, Priority, QueueState

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_MOST_ALARMS = 500
_MOST_ENDED = 1000


class Metrics:
    """Counts requests as they are answered, and asks the application for the rest at each scrape.

    Jobs run in other processes, so their numbers come from the database and not from here. Jobs
    that ended before ``since`` are not counted: like every counter, these start with the process.
    """

    def __init__(
        self,
        readiness: Callable[[], Mapping[str, str]],
        queue: QueueDesk,
        since: datetime,
        others: Sequence[Collector] = (),
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "willis_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._request_seconds = _histogram(
            self._registry,
            "willis_http_request_seconds",
            "Time to answer a request.",
            ("method", "route"),
        )
        self._ended = _EndedJobs(queue, self._registry, since)
        self._registry.register(_ReadinessCollector(readiness))
        self._registry.register(_QueueCollector(queue))
        for other in others:
            self._registry.register(other)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route template."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """The metrics page and its media type."""
        self._ended.catch_up()
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


def _histogram(
    registry: CollectorRegistry, name: str, text: str, labels: Sequence[str]
) -> Histogram:
    return Histogram(name, text, labels, buckets=_SECONDS, registry=registry)


@dataclass
class _EndedJobs:
    """Counts each job once it has ended."""

    queue: QueueDesk
    registry: CollectorRegistry
    since: datetime
    _counted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._jobs = Counter(
            "willis_jobs_ended", "Jobs that ended.", ("pipeline", "state"), registry=self.registry
        )
        text = "Time from the order of a job to its end."
        self._job_seconds = _histogram(
            self.registry, "willis_job_seconds", text, ("pipeline", "lane")
        )
        text = "Time that a step of an analysis took."
        self._step_seconds = _histogram(
            self.registry, "willis_step_seconds", text, ("pipeline", "step")
        )

    def catch_up(self) -> None:
        """Count what ended since the last time; nothing while the database is away."""
        try:
            ended = self.queue.ended_since(self.since, _MOST_ENDED)
        except WillisError:
            return
        for job in ended:
            if job.id not in self._counted:
                self._count(job)
        if ended and (latest := ended[-1].finished_at) is not None:
            # Asked for again from the latest moment on: those that ended in it are known by name.
            self.since = latest
            self._counted = {job.id for job in ended if job.finished_at == latest}

    def _count(self, job: Job) -> None:
        self._jobs.labels(job.pipeline, str(job.state)).inc()
        if job.finished_at is None or job.state is JobState.SUPERSEDED:
            return
        taken_s = (job.finished_at - (job.asked_at or job.created_at)).total_seconds()
        self._job_seconds.labels(job.pipeline, str(job.priority)).observe(max(0.0, taken_s))
        for step, seconds in job.timings_s.items():
            self._step_seconds.labels(job.pipeline, step).observe(seconds)


class _ReadinessCollector(Collector):
    def __init__(self, readiness: Callable[[], Mapping[str, str]]) -> None:
        self._readiness = readiness

    def describe(self) -> Iterator[Metric]:
        # Declared, so that registering it asks nothing of the application yet.
        yield self._family()

    def collect(self) -> Iterator[Metric]:
        family = self._family()
        for part, state in self._readiness().items():
            family.add_metric([part], float(state == "ok"))
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily("willis_ready", "1 where a part is ready.", labels=["part"])


class _QueueCollector(Collector):
    def __init__(self, queue: QueueDesk) -> None:
        self._queue = queue

    def describe(self) -> Iterator[Metric]:
        yield from _families(QueueState({}, {}, 0.0, None, 0), {})

    def collect(self) -> Iterator[Metric]:
        try:
            state, alarms = self._queue.state(), self._queue.alarms(_MOST_ALARMS)
        except WillisError:
            return
        counts = {kind: sum(alarm.kind is kind for alarm in alarms) for kind in AlarmKind}
        yield from _families(state, counts)


def _families(state: QueueState, alarms: Mapping[AlarmKind, int]) -> Iterator[Metric]:
    lanes = state.lanes.items()
    waiting = {str(lane): float(one.waiting) for lane, one in lanes}
    oldest = {str(lane): one.oldest_s for lane, one in lanes}
    states = {str(one): float(count) for one, count in state.states.items()}
    standing = {str(kind): float(count) for kind, count in alarms.items()}
    yield _gauge("willis_queue_jobs", "Jobs that wait.", "lane", waiting)
    yield _gauge(
        "willis_queue_oldest_seconds", "Age of the job that waits longest.", "lane", oldest
    )
    yield _gauge("willis_jobs", "All jobs by state.", "state", states)
    yield _gauge("willis_no_result", "Alarms that stand, up to 500.", "kind", standing)
    for name, text, value in (
        (
            "willis_backlog_seconds",
            "Time that the workers need for all that waits.",
            state.backlog_s(tuple(Priority)),
        ),
        ("willis_lease_age_seconds", "Longest silence of a running job.", state.longest_silence_s),
        ("willis_workers", "Workers that are present.", float(state.workers)),
    ):
        yield GaugeMetricFamily(name, text, value=value)


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
