"""Results on their way to other systems: the ledger, the files, and who carries them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from willis_service.domain.commitment import Reference
from willis_service.domain.delivery import (
    CommitmentAnswer,
    Delivery,
    DeliveryState,
    NewDelivery,
    Outcome,
    ResultObject,
)
from willis_service.domain.destinations import ResultDestination, SegType
from willis_service.domain.job import Job, ResultKind


class DeliveryPlan(Protocol):
    """Which results still need a place in the ledger."""

    def unplanned(self, limit: int) -> Sequence[Job]:
        """Jobs with published results for which nothing was planned, the oldest first."""
        ...

    def senders_of(self, study_instance_uid: str) -> frozenset[str]:
        """Calling AE titles that the study's instances came from."""
        ...

    def plan(self, job: Job, deliveries: Sequence[NewDelivery], now: datetime) -> bool:
        """Store all at once; False where the job moved on. What an earlier edition left is void."""
        ...

    def withdraw_outdated(self) -> int:
        """Withdraw what did not leave before its job was superseded or retracted; how many."""
        ...


class Outbox(Protocol):
    """The courier's side of the ledger. A lease keeps two couriers from sending the same."""

    def claim(
        self, destination: str, courier: str, now: datetime, until: datetime
    ) -> Sequence[Delivery]:
        """Take what is due for one job, the most urgent and oldest first; empty if nothing is."""
        ...

    def keep(self, courier: str, until: datetime) -> None:
        """Prolong the leases of this courier, which lives."""
        ...

    def release(self, courier: str, now: datetime) -> None:
        """Give back what this courier has claimed; whether it arrived is unknown."""
        ...

    def settle(
        self, delivery_id: str, courier: str, outcome: Outcome, now: datetime, due: datetime | None
    ) -> None:
        """Store an outcome. ``due``: when to try again, or when to ask for commitment."""
        ...

    def hasten(self, destination: str, now: datetime) -> int:
        """The destination answers again: what could not reach it is due now; how many."""
        ...


class CommitmentBook(Protocol):
    """What destinations have been asked to vouch for."""

    def uncommitted(self, destination: str, now: datetime) -> Sequence[Delivery]:
        """Objects of one job that are sent, and for which it is time to ask."""
        ...

    def note_asked(self, ids: Sequence[str], transaction_uid: str, due: datetime) -> None:
        """They were asked for in this transaction; without an answer, again at ``due``."""
        ...

    def note_answer(self, answer: CommitmentAnswer, now: datetime, due: datetime) -> int:
        """Store an answer; how many deliveries it was about.

        An object that the destination does not have is sent again at ``due``; for one that it does
        not vouch for on other grounds it is asked again then.
        """
        ...


@dataclass(frozen=True)
class DeliveryQuery:
    """Which deliveries to list."""

    job_id: str | None = None
    destination: str | None = None
    state: DeliveryState | None = None
    limit: int = 100
    offset: int = 0


class DeliveryBook(Protocol):
    """The ledger as people see it and correct it."""

    def find(self, query: DeliveryQuery) -> Sequence[Delivery]:
        """The latest deliveries that fit, newest first."""
        ...

    def get(self, delivery_id: str) -> Delivery:
        """One delivery. Raises UnknownDelivery."""
        ...

    def send_again(self, delivery_id: str, now: datetime) -> bool:
        """Make it due now; False where it is being sent."""
        ...

    def drop(self, delivery_id: str) -> bool:
        """Withdraw what is owed; False where it is being sent or is owed no more."""
        ...

    def retract(
        self, job_id: str, reason: str, now: datetime, notices: Mapping[str, ResultObject]
    ) -> Job:
        """Mark the job, withdraw what did not leave, and plan a notice for every destination that
        has an object of the job or may have one. ``notices`` by destination. All at once.
        """
        ...

    def counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        """Deliveries by destination and state."""
        ...

    def owed_since(self) -> Mapping[str, datetime]:
        """When the oldest delivery was planned that a destination is owed."""
        ...


class Packer(Protocol):
    """Results as a destination takes them. Raises ResultError and OSError."""

    def describe(self, job: Job, kind: ResultKind, seg: SegType) -> ResultObject:
        """What will be sent; cheap."""
        ...

    def pack(self, job: Job, kind: ResultKind, seg: SegType) -> tuple[ResultObject, Path]:
        """The file to send, made where the destination wants another form, and what it is."""
        ...


@dataclass(frozen=True)
class Parcel:
    """A delivery with its file."""

    delivery: Delivery
    job: Job
    path: Path


Report = Callable[[Parcel, Outcome], None]


class Carrier(Protocol):
    """The way to one destination."""

    def __call__(self, parcels: Sequence[Parcel], report: Report) -> None:
        """Send one job's parcels in order; report each as soon as its outcome is known."""
        ...


class CommitmentAsker(Protocol):
    """Asks a destination to vouch for objects."""

    def __call__(
        self, references: Sequence[Reference], transaction_uid: str
    ) -> CommitmentAnswer | None:
        """The answer where it comes at once, None where it comes later on its own.

        Raises DestinationUnreachable or DestinationRefused.
        """
        ...


class RetractionWriter(Protocol):
    """Writes the object that says that a result was rejected."""

    def __call__(self, job: Job, reason: str, now: datetime) -> None:
        """Make it durable beside the job's results. Raises NotReady, ResultError."""
        ...


@dataclass(frozen=True)
class DestinationStatus:
    """A destination, where it leads (without secrets), and how its deliveries stand."""

    name: str
    kind: str
    address: str
    seg: str
    commitment: bool
    is_configured: bool
    counts: Mapping[DeliveryState, int]
    owed_since: datetime | None = None
    """When the oldest object was planned that it should have and does not."""


class DeliveryDesk(Protocol):
    """What REST and the command line ask about deliveries.

    Raises UnknownDelivery, UnknownJob, DeliveryConflict, NotReady.
    """

    def deliveries(self, query: DeliveryQuery) -> Sequence[Delivery]:
        """The latest deliveries that fit, newest first."""
        ...

    def delivery(self, delivery_id: str) -> Delivery:
        """One delivery."""
        ...

    def retry(self, delivery_id: str, again: bool = False) -> Delivery:
        """Send now. ``again``: even though the destination has confirmed it."""
        ...

    def drop(self, delivery_id: str) -> Delivery:
        """Don't send any more."""
        ...

    def retract(self, job_id: str, reason: str) -> Job:
        """Withdraw a job's result from everybody who got it."""
        ...

    def destinations(self) -> Sequence[DestinationStatus]:
        """Every destination that is configured or still owed something."""
        ...


__all__ = [
    "Carrier",
    "CommitmentAsker",
    "CommitmentBook",
    "DeliveryBook",
    "DeliveryDesk",
    "DeliveryPlan",
    "DeliveryQuery",
    "DestinationStatus",
    "Outbox",
    "Packer",
    "Parcel",
    "Report",
    "ResultDestination",
    "RetractionWriter",
]
