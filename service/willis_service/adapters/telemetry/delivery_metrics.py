"""How deliveries stand, for Prometheus: asked of the ledger at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from willis_models.errors import WillisError
from willis_service.application.ports.delivering import DestinationStatus


@dataclass(frozen=True)
class DeliveryCollector(Collector):
    """``willis_deliveries`` by destination and state, and how long the oldest one is owed."""

    destinations: Callable[[], Sequence[DestinationStatus]]
    clock: Callable[[], datetime]

    def describe(self) -> Iterator[Metric]:
        """What there will be; registering it asks nothing of the ledger yet."""
        yield from (_counts(), _ages())

    def collect(self) -> Iterator[Metric]:
        """The ledger now; nothing where the database does not answer, which readiness shows."""
        try:
            found, now = self.destinations(), self.clock()
        except WillisError:
            return
        counts, ages = _counts(), _ages()
        for one in found:
            for state, count in one.counts.items():
                counts.add_metric([one.name, state], count)
            age_s = (now - one.owed_since).total_seconds() if one.owed_since else 0.0
            ages.add_metric([one.name], max(age_s, 0.0))
        yield from (counts, ages)


def _counts() -> GaugeMetricFamily:
    text = "Deliveries by destination and state."
    return GaugeMetricFamily("willis_deliveries", text, labels=["destination", "state"])


def _ages() -> GaugeMetricFamily:
    text = "Age of the oldest object that a destination should have and does not."
    return GaugeMetricFamily("willis_delivery_owed_seconds", text, labels=["destination"])
