"""``docs/soak.md``: the report page of one soak, and its picture."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.page import Table, seconds
from tests.chaos.studies import SIDE, SLICES
from tests.soak.measure import Latency, Soak
from tests.soak.traffic import SENDERS, Kind
from tests.soak.watch import ends

PICTURE = "soak.svg"
_PROCESSES = ("receiver", "keeper", "worker", "courier", "api", "redis-server", "supervisor")

_TEXT = """# A day at an accelerated pace

Made by `make soak`. A day's studies go through the embedded service in minutes: {senders} scanners
over C-STORE, SQLite, Redis, {workers} workers, and an archive that takes SEG and SR. Each study
has {slices} images of {side} x {side}.

**A short pipeline stands in for the network.** It does everything else for real: reading, checks,
SEG, SR, their verification, report, publication and delivery. So this page is about receiving,
queue, storage and delivery over a long stretch; `benchmarks.md` says how long an analysis takes.

The run ends with an error, and writes no page, when one acknowledged instance is not on disk byte
for byte, when a study has not exactly one live result, when a result is missing on disk or over
REST, when threads or descriptors grew, or when the service does not take one more study.

## What came and went
{counts}
## Latency
Seconds from the acknowledgement of a study's last image until its result is stored, and until the
archive has all of its objects. It includes the time for which the service waits for more images.

{latencies}
![Memory of each process and latency of each study over time](images/{picture})

## Memory
Resident megabytes: medians of the first and of the last fifth of the run, and the largest.

{memory}
{machine}
"""


def write_page(soak: Soak, load: float, page: Path) -> None:
    """Write the page and its picture beside it."""
    text = _TEXT.format(
        senders=len(SENDERS),
        workers=soak.order.workers,
        slices=SLICES,
        side=SIDE,
        picture=PICTURE,
        counts=_counts(soak).markdown(),
        latencies=_latencies(soak).markdown(),
        memory=_memory(soak).markdown(),
        machine=describe(load),
    )
    picture = page.parent / "images" / PICTURE
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(soak, picture)
    page.write_text(text)


def _counts(soak: Soak) -> Table:
    done = sum(n for state, n in soak.states.items() if state != "superseded")
    rows = [
        ["studies sent", f"{soak.order.studies}"],
        *([f"- {kind}", f"{soak.kinds.get(kind, 0)}"] for kind in Kind),
        ["images acknowledged", f"{soak.instances}"],
        ["other answers to a sender", f"{_refusals(soak)}"],
        ["minutes of sending", f"{soak.sending_s / 60:.1f}"],
        ["minutes until the last object was delivered", f"{soak.total_s / 60:.1f}"],
        ["studies a minute, sent to delivered", f"{60 * soak.order.studies / soak.total_s:.0f}"],
        ["jobs with a live result (one more is the warm-up)", f"{done}"],
        ["results amended after a late image", f"{soak.states.get('superseded', 0)}"],
        ["most jobs that waited or ran at once", f"{_most_waiting(soak)}"],
        ["objects delivered", f"{soak.delivered}"],
        ["objects delivered twice", f"{soak.delivered_twice}"],
        ["**acknowledged images lost**", "**0**"],
    ]
    return Table(["", "count"], rows)


def _refusals(soak: Soak) -> int:
    return sum(n for answer, n in soak.answers.items() if answer != "0x0000")


def _most_waiting(soak: Soak) -> int:
    return max((look.waiting for look in soak.watch.looks), default=0)


def _latencies(soak: Soak) -> Table:
    groups = [
        ("all", soak.latencies),
        ("routine", [one for one in soak.latencies if one.kind is not Kind.URGENT]),
        ("urgent", [one for one in soak.latencies if one.kind is Kind.URGENT]),
    ]
    columns = ["studies", "result: median", "95th", "delivered: median", "95th", "longest"]
    return Table(columns, [[name, *_percentiles(group)] for name, group in groups if group])


def _percentiles(group: Sequence[Latency]) -> list[str]:
    result = [one.to_result_s for one in group]
    delivery = [one.to_delivery_s for one in group]
    values = (
        statistics.median(result),
        percentile(result, 95),
        statistics.median(delivery),
        percentile(delivery, 95),
        max(delivery),
    )
    return [seconds(value) for value in values]


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def _memory(soak: Soak) -> Table:
    over_time = soak.watch.memory()
    rows = []
    for name in sorted(over_time, key=_order):
        first, last = ends(over_time[name])
        rows.append([name, f"{first:.0f}", f"{last:.0f}", f"{max(over_time[name]):.0f}"])
    return Table(["process", "first", "last", "largest"], rows)


def _order(name: str) -> int:
    return _PROCESSES.index(name) if name in _PROCESSES else len(_PROCESSES)


def draw(soak: Soak, path: Path) -> None:
    """Memory and latency over time, one above the other."""
    # The development environment has it, the service has not.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    for name in sorted(soak.watch.memory(), key=_order):
        looks = [look for look in soak.watch.looks if name in look.memory_mb]
        moments = [look.at_s / 60 for look in looks]
        above.plot(moments, [look.memory_mb[name] for look in looks], label=name)
    above.set_ylabel("resident MB")
    above.set_ylim(bottom=0)
    above.legend(ncols=4, fontsize="small", loc="upper left")
    sent = [one.sent_at_s / 60 for one in soak.latencies]
    below.plot(sent, [one.to_delivery_s for one in soak.latencies], ".", ms=3, label="delivered")
    below.plot(sent, [one.to_result_s for one in soak.latencies], ".", ms=3, label="result stored")
    below.set_ylabel("seconds from the last image")
    below.set_xlabel("minutes from the start")
    below.set_ylim(bottom=0)
    below.legend(fontsize="small", loc="upper left")
    # No date inside: the same numbers make the same file.
    figure.savefig(path, metadata={"Date": None})
