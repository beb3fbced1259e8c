"""C-STORE as its provider: raw bytes to the disk, an honest status back, nothing decoded (R5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from willis_models.errors import WillisError
from willis_service.adapters.dicom.acceptance import AcceptedContext
from willis_service.adapters.dicom.dimse import Command
from willis_service.adapters.dicom.file_meta import file_meta
from willis_service.adapters.dicom.incoming import identity_in_head, identity_in_stream
from willis_service.adapters.dicom.receive_object import OnDisk, Sink, Waste
from willis_service.adapters.dicom.statuses import (
    CANNOT_UNDERSTAND,
    CLASS_NOT_SUPPORTED,
    DATA_SET_MISMATCH,
    SUCCESS,
    status_of,
)
from willis_service.application.ports import Landing
from willis_service.domain.instance import InstanceIdentity, Receipt, StoredInstance

_LOG = structlog.get_logger(__name__)
_LONGEST_UID = 64


class ObjectStore(Protocol):
    """What takes instances in. Raises errors of the tree."""

    def land(self, header: bytes, transfer_syntax_uid: str) -> Landing:
        """A file to receive into."""
        ...

    def keep(
        self, landing: Landing, identity: InstanceIdentity, sender: str
    ) -> tuple[Receipt, StoredInstance]:
        """Make it durable; returns only when a crash can't lose it (R3)."""
        ...


@dataclass(frozen=True)
class StorageService:
    """Answers the C-STORE requests of one association."""

    objects: ObjectStore
    largest_bytes: int
    sender: str

    def receive(self, command: Command, context: AcceptedContext) -> Sink:
        """Where the data set of a request goes, its answer included."""
        if command.sop_class_uid != context.sop_class_uid:
            return Waste(CLASS_NOT_SUPPORTED)
        if not 0 < len(command.sop_instance_uid) <= _LONGEST_UID or not command.has_data_set:
            return Waste(CANNOT_UNDERSTAND)
        syntax = context.transfer_syntax_uid
        header = file_meta(command.sop_class_uid, command.sop_instance_uid, syntax, self.sender)
        try:
            landing = self.objects.land(header, syntax)
        except (WillisError, OSError) as error:
            return Waste(status_of(error))
        store = self._storing(command, syntax)
        return OnDisk(landing, self.largest_bytes, store, status_of)

    def _storing(self, command: Command, syntax: str) -> Callable[[Landing], int]:
        def store(landing: Landing) -> int:
            try:
                return self._status(landing, command, syntax)
            except Exception as error:
                return status_of(error)
            finally:
                landing.close()

        return store

    def _status(self, landing: Landing, command: Command, syntax: str) -> int:
        identity = identity_in_head(landing.head(), syntax)
        if identity is None:
            landing.finish()
            with landing.reader() as data_set:
                identity = identity_in_stream(data_set, syntax)
        if identity.sop_class_uid != command.sop_class_uid:
            return DATA_SET_MISMATCH
        if identity.sop_instance_uid != command.sop_instance_uid:
            return DATA_SET_MISMATCH
        receipt, _ = self.objects.keep(landing, identity, self.sender)
        if receipt is Receipt.CONFLICT:
            _LOG.warning("instance_conflict", sender=self.sender)
        return SUCCESS
