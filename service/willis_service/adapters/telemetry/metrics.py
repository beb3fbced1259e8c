"""Prometheus metrics of one process, in its own registry."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from willis_service.domain.job import Job

_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300)


class Metrics:
    """Counts requests as they are answered, and asks the application for the rest at each scrape.

    Jobs run in other processes, so their numbers come from the database and not from here.
    """

    def __init__(
        self,
        readiness: Callable[[], Mapping[str, str]],
        recent_jobs: Callable[[], Sequence[Job]],
    ) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "willis_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._request_seconds = Histogram(
            "willis_http_request_seconds",
            "Time to answer a request.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._registry.register(_ReadinessCollector(readiness))
        self._registry.register(_JobsCollector(recent_jobs))

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route template."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """The metrics page and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


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


class _JobsCollector(Collector):
    def __init__(self, recent_jobs: Callable[[], Sequence[Job]]) -> None:
        self._recent_jobs = recent_jobs

    def describe(self) -> Iterator[Metric]:
        yield from (self._counts(), self._seconds())

    def collect(self) -> Iterator[Metric]:
        jobs = self._recent_jobs()
        counts, seconds = self._counts(), self._seconds()
        for (pipeline, state), count in Tally((j.pipeline, j.state.value) for j in jobs).items():
            counts.add_metric([pipeline, state], count)
        for pipeline, longest_s in _longest_s(jobs).items():
            seconds.add_metric([pipeline], longest_s)
        yield from (counts, seconds)

    @staticmethod
    def _counts() -> GaugeMetricFamily:
        text = "The latest jobs by pipeline and state."
        return GaugeMetricFamily("willis_recent_jobs", text, labels=["pipeline", "state"])

    @staticmethod
    def _seconds() -> GaugeMetricFamily:
        text = "Longest time from creation to end among the latest jobs."
        return GaugeMetricFamily("willis_recent_job_seconds_max", text, labels=["pipeline"])


def _longest_s(jobs: Sequence[Job]) -> dict[str, float]:
    longest: dict[str, float] = {}
    for job in jobs:
        if job.finished_at is not None:
            taken_s = (job.finished_at - job.created_at).total_seconds()
            longest[job.pipeline] = max(longest.get(job.pipeline, 0.0), taken_s)
    return longest
