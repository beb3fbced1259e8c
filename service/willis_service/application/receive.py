"""Take an instance in: durable on disk and in the index before anybody hears of success."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from willis_models.errors import StorageFull, UploadTooLarge
from willis_service.application.group_commit import GroupCommit
from willis_service.application.ports import Clock, InstanceArchive, Kept, Landing, StudyIndex
from willis_service.domain.instance import (
    Arrival,
    IncomingInstance,
    InstanceIdentity,
    Receipt,
    StoredInstance,
    StudyLimits,
    storage_path,
)

_FULL = "The disk reserve is reached: free space, then send again."


@dataclass(frozen=True)
class IntakeLimits:
    """What this installation takes."""

    disk_reserve_bytes: int
    max_object_bytes: int
    study: StudyLimits


@dataclass(frozen=True)
class Intake:
    """Receives instances over any way in. Raises StorageFull or UploadTooLarge."""

    archive: InstanceArchive
    index: StudyIndex
    limits: IntakeLimits
    clock: Clock
    _commit: GroupCommit[Kept, Receipt | UploadTooLarge] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_commit", GroupCommit(self._commit_group))

    def has_room(self) -> bool:
        """Whether an association may start."""
        return self.archive.free_bytes() > self.limits.disk_reserve_bytes

    def land(self, header: bytes, transfer_syntax_uid: str) -> Landing:
        """A file to receive into; ``keep`` it or ``close`` it."""
        if not self.has_room():
            raise StorageFull(_FULL)
        return self.archive.land(header, transfer_syntax_uid)

    def keep(
        self,
        landing: Landing,
        identity: InstanceIdentity,
        sender: str,
        *,
        opens_study: bool = True,
    ) -> tuple[Receipt, StoredInstance]:
        """Keep what landed. When this returns, a crash can't lose it (R3).

        ``opens_study`` says whether the study is to be routed when it falls quiet; an upload that
        names its pipeline is not.
        """
        try:
            sha256 = landing.finish()
            self._check(landing.size_bytes)
            stored = self._stored(identity, sender, sha256, landing.size_bytes)
            landing.put(stored.path)
            outcome = self._commit(Kept(landing, stored, opens_study))
        finally:
            landing.close()
        return self._settled(outcome, stored)

    def restore(self, stored: StoredInstance, opens_study: bool, content: bytes) -> None:
        """Have an instance as it was before a crash; harmless where nothing is lost."""
        self.archive.restore(content, stored.path)
        arrival = Arrival(stored, opens_study, self.limits.study)
        (outcome,) = self.index.add_all([arrival], lambda: False)
        if isinstance(outcome, UploadTooLarge):
            self.archive.forget(stored.path)
        elif outcome is Receipt.DUPLICATE:
            known = self.index.find(stored.sop_instance_uid, stored.sha256)
            if known is not None and known.path != stored.path:
                self.archive.forget(stored.path)

    def take(
        self, incoming: IncomingInstance, *, opens_study: bool = True
    ) -> tuple[Receipt, StoredInstance]:
        """Store one instance that is in memory; as ``land`` and ``keep``."""
        self._check(incoming.size_bytes)
        landing = self.land(incoming.header, incoming.transfer_syntax_uid)
        try:
            landing.write(incoming.data_set)
            return self.keep(landing, incoming, incoming.sender, opens_study=opens_study)
        finally:
            landing.close()

    def _commit_group(self, group: Sequence[Kept]) -> Sequence[Receipt | UploadTooLarge]:
        arrivals = [Arrival(k.instance, k.opens_study, self.limits.study) for k in group]
        with self.archive.making_durable(group) as wait_for_files:
            return self.index.add_all(arrivals, wait_for_files)

    def _settled(
        self, outcome: Receipt | UploadTooLarge, stored: StoredInstance
    ) -> tuple[Receipt, StoredInstance]:
        # Only after a clear answer nothing refers to the file: after an error the row may be there.
        if isinstance(outcome, UploadTooLarge):
            self.archive.forget(stored.path)
            raise outcome
        if outcome is not Receipt.DUPLICATE:
            return outcome, stored
        self.archive.forget(stored.path)
        return outcome, self.index.find(stored.sop_instance_uid, stored.sha256) or stored

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self.limits.max_object_bytes:
            raise UploadTooLarge("The object is larger than this installation takes.")
        if self.archive.free_bytes() < self.limits.disk_reserve_bytes:
            raise StorageFull(_FULL)

    def _stored(
        self, identity: InstanceIdentity, sender: str, sha256: str, size_bytes: int
    ) -> StoredInstance:
        return StoredInstance(
            study_instance_uid=identity.study_instance_uid,
            series_instance_uid=identity.series_instance_uid,
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            transfer_syntax_uid=identity.transfer_syntax_uid,
            sha256=sha256,
            path=storage_path(identity, secrets.token_hex(8)),
            size_bytes=size_bytes,
            sender=sender,
            received_at=self.clock(),
        )
