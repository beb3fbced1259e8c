"""A storage provider whose faults a test sets while it runs: down, slow, aborting, refusing, full.

::

    with Archive() as archive:
        archive.status = 0xA700                 # out of resources, for every object
        archive.status_of[SEG] = 0x0122         # this class is refused, the others are stored
        archive.refused_classes.add(SEG)        # not even negotiated
        archive.delay_s = 3                     # answers slowly
        archive.abort_at = 2                    # aborts when the 2nd object of an association comes
        archive.abort_keeps = True              # ... after it was stored: nobody hears of it
        archive.rejects = (0x02, 0x03, 0x01)    # A-ASSOCIATE-RJ: result, source, reason
        archive.down(); archive.up()            # on the same port
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from willis_service.domain.commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE
from willis_service.domain.peers import Destination

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
LABELMAP = "1.2.840.10008.5.1.4.1.1.66.7"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
KO = "1.2.840.10008.5.1.4.1.1.88.59"
_VERIFICATION = "1.2.840.10008.1.1"
_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: Callable[[], Any], seconds: float = 10.0) -> Any:
    """The first true answer; fails the test when none comes in time."""
    end = time.monotonic() + seconds
    while not (answer := what()):
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.01)
    return answer


@dataclass
class Archive:
    """A storage provider on a port of its own, which it keeps while it is down."""

    title: str = "ARCHIVE"
    port: int = field(default_factory=free_port)
    status: int = 0x0000
    status_of: dict[str, int] = field(default_factory=dict)
    refused_classes: set[str] = field(default_factory=set)
    delay_s: float = 0.0
    abort_at: int | None = None
    abort_keeps: bool = False
    rejects: tuple[int, int, int] | None = None
    # Storage commitment: whether it reports on the "same" association, a "new" one, or never.
    reports: str = "same"
    report_to: Destination | None = None
    lost: set[str] = field(default_factory=set)
    failure_reason: int = 0x0112
    implicit_only: bool = False
    tls: ssl.SSLContext | None = None
    # What it saw.
    confirmed: list[str] = field(default_factory=list)
    """SOP Instance UIDs answered with success, in order; one that came twice is there twice."""
    offered: list[str] = field(default_factory=list)
    objects: dict[str, Dataset] = field(default_factory=dict)
    associations: int = 0
    commitments: list[str] = field(default_factory=list)
    _seen: dict[Association, int] = field(default_factory=lambda: defaultdict(int))
    _server: ThreadedAssociationServer | None = None
    _entity: AE | None = None

    @property
    def address(self) -> Destination:
        return Destination(self.title, "127.0.0.1", self.port)

    def __enter__(self) -> Archive:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def up(self) -> None:
        handlers: list[Any] = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_ACTION, self._commit),
        ]
        self._entity = self._application()
        self._server = self._entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=handlers,
            ssl_context=self.tls,
        )

    def down(self) -> None:
        """Abort what is open and listen no more; what was confirmed is kept."""
        if self._server is not None and self._entity is not None:
            for association in self._entity.active_associations:
                association.abort()
            self._server.shutdown()
            self._entity.shutdown()
            self._server = None

    def _application(self) -> AE:
        entity = AE(ae_title=self.title)
        entity.maximum_associations = 50
        syntaxes = _SYNTAXES[1:] if self.implicit_only else _SYNTAXES
        entity.add_supported_context(_VERIFICATION, syntaxes)
        entity.add_supported_context(PUSH_MODEL_CLASS, syntaxes)
        known = [str(c.abstract_syntax) for c in AllStoragePresentationContexts]
        for sop_class in {*known, SEG, LABELMAP, SR, KO} - self.refused_classes:
            entity.add_supported_context(UID(sop_class), syntaxes)
        return entity

    def _requested(self, event: Event) -> None:
        self.associations += 1
        if self.rejects is not None:
            event.assoc.acse.send_reject(*self.rejects)
            event.assoc.kill()

    def _store(self, event: Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.offered.append(uid)
        self._seen[event.assoc] += 1
        threading.Event().wait(self.delay_s)
        aborts = self.abort_at is not None and self._seen[event.assoc] >= self.abort_at
        if not aborts or self.abort_keeps:
            self.objects.setdefault(uid, event.dataset)
        if aborts:
            event.assoc.abort()
            return 0x0110
        status = self.status_of.get(str(event.request.AffectedSOPClassUID), self.status)
        if status == 0x0000:
            self.confirmed.append(uid)
        else:
            self.objects.pop(uid, None)
        return status

    def _commit(self, event: Event) -> tuple[int, None]:
        request = event.action_information
        self.commitments.append(str(request.TransactionUID))
        report = self._report(request)
        if self.reports == "same":
            association = event.assoc
            threading.Thread(target=_report_on, args=(association, *report), daemon=True).start()
        elif self.reports == "new":
            threading.Thread(target=self._report_anew, args=report, daemon=True).start()
        return 0x0000, None

    def _report(self, request: Dataset) -> tuple[Dataset, int]:
        kept, gone = [], []
        for item in request.ReferencedSOPSequence:
            uid = str(item.ReferencedSOPInstanceUID)
            (gone if uid in self.lost or uid not in self.objects else kept).append(item)
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        if kept:
            report.ReferencedSOPSequence = kept
        for item in gone:
            item.FailureReason = self.failure_reason
        if gone:
            report.FailedSOPSequence = gone
        return report, 2 if gone else 1

    def _report_anew(self, report: Dataset, event_type: int) -> None:
        assert self.report_to is not None
        entity = AE(ae_title=self.title)
        entity.add_requested_context(PUSH_MODEL_CLASS)
        peer = self.report_to
        association = entity.associate(
            peer.host,
            peer.port,
            ae_title=peer.ae_title,
            ext_neg=[build_role(PUSH_MODEL_CLASS, scp_role=True)],
        )
        if association.is_established:
            _report_on(association, report, event_type)
            association.release()


def _report_on(association: Association, report: Dataset, event_type: int) -> None:
    if association.is_acceptor:
        threading.Event().wait(0.1)  # the answer to the request goes first
    association.send_n_event_report(report, event_type, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE)
