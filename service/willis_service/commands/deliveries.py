"""``willis deliveries`` and ``willis retention``: the ledger, and what may be removed."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from willis_models.errors import DeliveryConflict
from willis_service.application.ports.delivering import DeliveryDesk, DeliveryQuery
from willis_service.application.retention import Retain
from willis_service.commands.console import err, out
from willis_service.commands.exit_codes import ExitCode
from willis_service.domain.delivery import CONFIRMED, Delivery, DeliveryState
from willis_service.domain.retention import Verdict

_MEBIBYTE = 1024 * 1024
_PAGE = 500


def list_deliveries(desk: DeliveryDesk, query: DeliveryQuery) -> ExitCode:
    """Print destinations with their counts, then the deliveries that fit."""
    table = Table("Destination", "Kind", "Address", "Deliveries", title_justify="left")
    for one in desk.destinations():
        counts = ", ".join(f"{count} {state}" for state, count in sorted(one.counts.items()))
        kind = one.kind if one.is_configured else "not configured any more"
        table.add_row(one.name, kind, one.address, counts or "none")
    out().print(table)
    _print_deliveries(desk.deliveries(query))
    return ExitCode.OK


def retry(
    desk: DeliveryDesk, delivery_id: str | None, query: DeliveryQuery, again: bool
) -> ExitCode:
    """Send one delivery now, or everything that is refused or waiting and fits."""
    if delivery_id is not None:
        _print_deliveries([desk.retry(delivery_id, again)])
        return ExitCode.OK
    count = sum(_retried(desk, one) for one in _stuck(desk, query))
    out().print(f"{count} deliveries are due now.", markup=False)
    return ExitCode.OK


def drop(desk: DeliveryDesk, delivery_id: str) -> ExitCode:
    """Don't send any more."""
    _print_deliveries([desk.drop(delivery_id)])
    return ExitCode.OK


def retract(desk: DeliveryDesk, job_id: str, reason: str) -> ExitCode:
    """Withdraw a result from everybody who got it."""
    job = desk.retract(job_id, reason)
    out().print(f"Job {job.id} is retracted since {job.retracted_at}.", markup=False)
    _print_deliveries(desk.deliveries(DeliveryQuery(job_id=job_id)))
    return ExitCode.OK


def retention(retain: Retain, dry_run: bool) -> ExitCode:
    """Remove what may go, or say what would go and why the rest stays."""
    if not retain.policy.is_on:
        err().print("Nothing is ever removed: no WILLIS_RETENTION_ setting is on.")
    if not dry_run:
        out().print(f"{retain()} parts removed.", markup=False)
        return ExitCode.OK
    table = Table("Study or job", "Part", "Size", "Goes", "Why", title_justify="left")
    for verdict in retain.verdicts(to_the_end=True):
        table.add_row(*_row(verdict))
    out().print(table)
    return ExitCode.OK


def _stuck(desk: DeliveryDesk, query: DeliveryQuery) -> Sequence[Delivery]:
    states = [query.state] if query.state else [DeliveryState.REFUSED, DeliveryState.WAITING]
    found: list[Delivery] = []
    for state in states:
        offset = 0
        while page := desk.deliveries(
            DeliveryQuery(query.job_id, query.destination, state, _PAGE, offset)
        ):
            found += page
            offset += _PAGE
    return [one for one in found if one.state not in CONFIRMED]


def _retried(desk: DeliveryDesk, delivery: Delivery) -> bool:
    try:
        desk.retry(delivery.id)
    except DeliveryConflict:  # it has just left
        return False
    return True


def _print_deliveries(deliveries: Sequence[Delivery]) -> None:
    table = Table(
        "Delivery", "Job", "Destination", "Kind", "State", "Tries", "Code", "Next or sent"
    )
    for one in deliveries:
        moment = one.sent_at or one.next_attempt_at
        row = (one.id, one.job_id, one.destination, one.kind.name.lower(), str(one.state))
        code = one.error_code or ""
        table.add_row(*row, str(one.attempts), code, moment.isoformat(timespec="seconds"))
    out().print(table)


def _row(verdict: Verdict) -> tuple[str, str, str, str, str]:
    holding = verdict.holding
    name = holding.study_instance_uid or ", ".join(holding.job_ids)
    is_images = verdict.part == "instances"
    size = f"{holding.instance_bytes / _MEBIBYTE:.0f} MiB" if is_images else ""
    return name, str(verdict.part), size, "yes" if verdict.goes else "no", verdict.reason
