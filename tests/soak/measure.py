"""Run the traffic against the embedded service and measure what came of it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import evidence
from tests.chaos.evidence import JobRow
from tests.chaos.invariants import Witness
from tests.chaos.rig import Rig
from tests.chaos.sink import Sink, running_sink, twice, wait_for
from tests.chaos.studies import Studies
from tests.soak.traffic import URGENT_SENDER, Arrival, Kind, Traffic, planned
from tests.soak.watch import Watch
from willis_service.commands.demo import free_ports

_SERVICE = (sys.executable, "-m", "tests.e2e.toy_service", "toy")
_SETTLE_S, _DELIVERY_S = 900.0, 300.0
_REST_SAMPLE = 60
# What comes from the emergency scanner is urgent; the rest takes its turn.
_RULES = f"""
[[rule]]
name = "emergency"
pipeline = "toy"
role = "ncct"
modality = "CT"
sender = "{URGENT_SENDER}"
priority = "urgent"

[[rule]]
name = "routine"
pipeline = "toy"
role = "ncct"
modality = "CT"
"""


@dataclass(frozen=True)
class Latency:
    """Seconds from the last acknowledged instance of one study."""

    sent_at_s: float
    to_result_s: float
    to_delivery_s: float
    kind: Kind


@dataclass(frozen=True)
class Order:
    """How much, how fast, with how many workers."""

    studies: int
    per_minute: float
    workers: int
    seed: str


@dataclass(frozen=True)
class Soak:
    """Everything that the page says. Losses are not among it: they end the run with an error."""

    order: Order
    sending_s: float
    total_s: float
    instances: int
    answers: Mapping[str, int]
    kinds: Mapping[Kind, int]
    states: Mapping[str, int]
    latencies: Sequence[Latency]
    watch: Watch
    delivered: int
    delivered_twice: int


def soak(folder: Path, order: Order) -> Soak:
    """Send what was ordered. Raises AssertionError where an invariant broke."""
    (port,) = free_ports(1)
    with running_sink(port) as sink:
        rig = Rig(folder, _settings(folder, order.workers), command=_SERVICE, sink=sink)
        try:
            rig.start()
            measured = _measured(rig, sink, order)
        finally:
            code = rig.stop()
    if code:
        raise AssertionError(f"The service ended with code {code}.\n{rig.tail()}")
    return measured


def _measured(rig: Rig, sink: Sink, order: Order) -> Soak:
    witness = Witness(rig, Studies(order.seed))
    witness.warm_up()
    plan = planned(witness, order.studies, order.per_minute, order.seed)
    start = time.monotonic()
    with Watch(rig) as watch:
        sending_s = Traffic(witness, plan).run()
        witness.settle(_SETTLE_S)
        objects = evidence.result_objects(rig)
        wait_for(sink, objects, _DELIVERY_S)
    total_s = time.monotonic() - start
    jobs = evidence.jobs(rig)
    latencies = _latencies(witness, objects, sink.first_at(), plan, jobs, start)
    witness.check(rest_sample=_REST_SAMPLE)  # also: not one acknowledged instance is lost
    return Soak(
        order=order,
        sending_s=sending_s,
        total_s=total_s,
        instances=len(witness.ledger.acknowledged),
        answers=dict(witness.ledger.answers),
        kinds=Counter(arrival.kind for arrival in plan),
        states=Counter(job.state for job in jobs),
        latencies=latencies,
        watch=watch,
        delivered=len(sink.first_at()),
        delivered_twice=len(twice(sink)),
    )


def _settings(folder: Path, workers: int) -> Mapping[str, str]:
    rules = folder / "rules.toml"
    rules.write_text(_RULES)
    return {
        "workers": str(workers),
        "rules_file": str(rules),
        "worker_lost_after_s": "60",
        "poll_interval_s": "0.5",
        "quiet_period_s": "5",
    }


def _latencies(
    witness: Witness,
    objects: Mapping[str, str],
    delivered_at: Mapping[str, float],
    plan: Sequence[Arrival],
    jobs: Sequence[JobRow],
    start: float,
) -> list[Latency]:
    # The ledger counts monotonic seconds, the database and the archive the wall clock's.
    to_monotonic = time.monotonic() - time.time()
    ended = {j.study_instance_uid: j.finished_at for j in jobs if j.is_live and j.finished_at}
    last_delivery: dict[str, float] = {}
    for uid, study in objects.items():
        last_delivery[study] = max(last_delivery.get(study, 0.0), delivered_at[uid])
    latencies = []
    for arrival in plan:
        uid = arrival.study.study_instance_uid
        sent = witness.ledger.last_acknowledged[uid]
        result = ended[uid].timestamp() + to_monotonic - sent
        delivery = last_delivery[uid] + to_monotonic - sent
        latencies.append(Latency(sent - start, result, delivery, arrival.kind))
    return latencies
