"""A PACS that asks for storage commitment, on pynetdicom."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from willis_service.domain.commitment import PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE

PACS = "PACS"


@dataclass
class Requester:
    """A PACS that wants to delete its copies, and takes reports on a port of its own."""

    port: int
    status: int = 0x0000
    roles: bool = True
    reports: list[tuple[int, Dataset]] = field(default_factory=list)

    @contextmanager
    def listening(self) -> Iterator[None]:
        entity = AE(PACS)
        roles = {"scu_role": False, "scp_role": True} if self.roles else {}
        entity.add_supported_context(StorageCommitmentPushModel, **roles)
        handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]
        server = entity.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        try:
            yield
        finally:
            server.shutdown()
            entity.shutdown()

    def _take(self, event: evt.Event) -> tuple[int, Dataset | None]:
        self.reports.append((event.event_type, event.event_information))
        return self.status, None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ask_for_commitment(
    port: int, references: Sequence[tuple[str, str]], calling: str = PACS
) -> int:
    """N-ACTION for these (SOP class, SOP instance) pairs; the status of the answer."""
    action = Dataset()
    action.TransactionUID = generate_uid()
    action.ReferencedSOPSequence = []
    for sop_class, sop in references:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
        action.ReferencedSOPSequence.append(item)
    entity = AE(calling)
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate("127.0.0.1", port, ae_title="WILLIS")
    try:
        answer, _ = association.send_n_action(action, 1, PUSH_MODEL_CLASS, PUSH_MODEL_INSTANCE)
        return int(answer.Status)
    finally:
        association.release()
