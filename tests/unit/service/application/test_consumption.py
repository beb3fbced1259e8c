"""A worker that consumes nothing is found out, and one that can't help it is not."""

from __future__ import annotations

from dataclasses import dataclass, field

from willis_models.errors import BrokerUnavailable
from willis_service.application.consumption import Consumption


@dataclass
class Line:
    """The way from a worker to itself through the broker."""

    is_cut: bool = False
    is_away: bool = False
    now_s: float = 0.0
    sent: int = 0
    consumption: Consumption = field(init=False)

    def __post_init__(self) -> None:
        self.consumption = Consumption(self.send, every_s=10, stopwatch=lambda: self.now_s)

    def send(self) -> None:
        if self.is_away:
            raise BrokerUnavailable("away")
        self.sent += 1
        if not self.is_cut:
            self.consumption.hear()

    def stops_within(self, seconds: float, is_busy: bool = False) -> bool:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 5
            if self.consumption.has_stopped(is_busy):
                return True
        return False


def test_an_idle_worker_that_hears_itself_goes_on():
    line = Line()

    assert not line.stops_within(3600)
    assert line.sent == 360


def test_a_worker_that_hears_nothing_any_more_is_found_within_four_messages():
    line = Line()
    line.stops_within(100)
    line.is_cut = True

    assert line.stops_within(45)


def test_one_message_that_a_flush_took_away_proves_nothing():
    line = Line()
    line.is_cut = True
    line.stops_within(20)
    line.is_cut = False

    assert not line.stops_within(3600)


def test_a_worker_at_a_job_is_asked_nothing():
    line = Line(is_cut=True)

    assert not line.stops_within(3600, is_busy=True)
    assert line.sent == 0


def test_a_broker_that_is_away_is_not_the_workers_fault():
    line = Line(is_cut=True, is_away=True)

    assert not line.stops_within(3600)
