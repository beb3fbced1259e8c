from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, generate_latest

from willis_models.errors import DatabaseUnavailable
from willis_service.adapters.telemetry.delivery_metrics import DeliveryCollector
from willis_service.application.ports.delivering import DestinationStatus
from willis_service.domain.delivery import DeliveryState

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


def page(destinations) -> str:  # type: ignore[no-untyped-def]
    registry = CollectorRegistry()
    registry.register(DeliveryCollector(destinations, lambda: NOW))
    return generate_latest(registry).decode()


def test_deliveries_are_shown_by_destination_and_state_with_the_age_of_the_oldest():
    counts = {DeliveryState.WAITING: 2, DeliveryState.SENT: 7}
    since = NOW - timedelta(minutes=10)
    pacs = DestinationStatus("pacs", "dicom", "P@p:1", "binary", False, True, counts, since)

    text = page(lambda: [pacs])

    assert 'willis_deliveries{destination="pacs",state="waiting"} 2.0' in text
    assert 'willis_deliveries{destination="pacs",state="sent"} 7.0' in text
    assert 'willis_delivery_owed_seconds{destination="pacs"} 600.0' in text


def test_a_database_that_is_away_costs_these_metrics_and_not_the_page():
    def away() -> list[DestinationStatus]:
        raise DatabaseUnavailable("away")

    assert "willis_deliveries{" not in page(away)
