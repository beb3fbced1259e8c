"""Where results go: the receivers of an installation, and what each of them wants."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from willis_service.domain.job import DICOM_OBJECTS, Job, JobState, Priority, ResultKind
from willis_service.domain.peers import Destination

LONGEST_NAME = 64
_FILE_KINDS = tuple(kind for kind in ResultKind if kind is not ResultKind.RETRACTION)
_SENT_STATES = (JobState.SUCCEEDED, JobState.REJECTED, JobState.FAILED)


class SegType(StrEnum):
    """How a receiver wants segmentations: LABELMAP only where it says that it reads them (R38)."""

    BINARY = "binary"
    LABELMAP = "labelmap"


@dataclass(frozen=True, repr=False)
class Secret:
    """A password, token or key. It shows itself to nobody who prints or logs it (R46)."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True)
class Basic:
    """HTTP basic authentication."""

    user: str
    password: Secret


@dataclass(frozen=True)
class Bearer:
    """A bearer token."""

    token: Secret


Auth = Basic | Bearer


@dataclass(frozen=True)
class DicomTarget:
    """C-STORE. ``commitment``: the receiver is asked to vouch for what it has.

    ``tls_verify_host`` holds its certificate to the host that is called.
    """

    peer: Destination
    calling_ae_title: str | None = None
    tls: bool = False
    tls_verify_host: bool = True
    commitment: bool = False


@dataclass(frozen=True)
class StowTarget:
    """STOW-RS below this service root, such as ``https://vna.example/dicom-web``."""

    url: str
    auth: Auth | None = None
    ca_file: Path | None = None


class WebhookBody(StrEnum):
    """What a webhook is told: that there is a result, or the findings as well."""

    EVENT = "event"
    FINDINGS = "findings"


@dataclass(frozen=True)
class WebhookTarget:
    """One signed JSON message for each result."""

    url: str
    secret: Secret
    body: WebhookBody = WebhookBody.FINDINGS
    ca_file: Path | None = None


@dataclass(frozen=True)
class FolderTarget:
    """A folder on this machine or on a mounted share."""

    path: Path


Target = DicomTarget | StowTarget | WebhookTarget | FolderTarget


def kinds_possible(target: Target) -> tuple[ResultKind, ...]:
    """The files that such a target can be given."""
    if isinstance(target, FolderTarget):
        return _FILE_KINDS
    if isinstance(target, WebhookTarget):
        return (ResultKind.FINDINGS,)  # one message a result; the message says the rest
    return DICOM_OBJECTS


@dataclass(frozen=True)
class Wanted:
    """Which results a receiver wants; what is empty admits everything."""

    pipelines: tuple[str, ...] = ()
    states: tuple[JobState, ...] = _SENT_STATES
    kinds: tuple[ResultKind, ...] = ()
    urgent_only: bool = False
    senders: tuple[str, ...] = ()
    """Calling AE titles that the study's images came from."""

    def admits(self, job: Job, senders: Collection[str]) -> bool:
        """Whether the results of this job are wanted. ``senders`` sent its study."""
        # While there is a notice only, the job has failed as far as a receiver is concerned.
        state = JobState.FAILED if job.has_notice_only else job.state
        return (
            state in self.states
            and (not self.pipelines or job.pipeline in self.pipelines)
            and (not self.urgent_only or job.priority is Priority.URGENT)
            and (not self.senders or not set(self.senders).isdisjoint(senders))
        )


@dataclass(frozen=True)
class ResultDestination:
    """A receiver of results under the name by which the ledger knows it."""

    name: str
    target: Target
    wanted: Wanted = field(default_factory=Wanted)
    seg: SegType = SegType.BINARY
    timeout_s: float = 60.0

    @classmethod
    def of_peer(cls, peer: Destination) -> ResultDestination:
        """The short form: everything to one storage provider, known by its address."""
        return cls(str(peer), DicomTarget(peer))

    @property
    def wants_commitment(self) -> bool:
        """Whether objects count as safe there only once it has vouched for them."""
        return isinstance(self.target, DicomTarget) and self.target.commitment

    def kinds_of(self, job: Job) -> tuple[ResultKind, ...]:
        """The job's files that go there, in the order in which they are sent."""
        possible = kinds_possible(self.target)
        wanted = self.wanted.kinds or possible
        return tuple(k for k in possible if k in wanted and k in job.results)
