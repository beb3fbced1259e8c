"""Take an instance in: durable on disk and in the index before anybody hears of success."""

from __future__ import annotations

from dataclasses import dataclass

from willis_models.errors import StorageFull, UploadTooLarge
from willis_service.application.ports import Clock, InstanceArchive, StudyIndex
from willis_service.domain.instance import (
    IncomingInstance,
    Receipt,
    StoredInstance,
    storage_path,
)


@dataclass(frozen=True)
class IntakeLimits:
    """What this installation takes."""

    disk_reserve_bytes: int
    max_object_bytes: int
    max_study_instances: int


@dataclass(frozen=True)
class Intake:
    """Receives instances over any way in. Raises StorageFull or UploadTooLarge."""

    archive: InstanceArchive
    index: StudyIndex
    limits: IntakeLimits
    clock: Clock

    def take(
        self, incoming: IncomingInstance, *, opens_study: bool = True
    ) -> tuple[Receipt, StoredInstance]:
        """Store one instance. When this returns, a crash can't lose it (R3).

        ``opens_study`` says whether the study is to be routed when it falls quiet; an upload that
        names its pipeline is not.
        """
        self._check(incoming.size_bytes)
        sha256 = incoming.sha256()
        stored = self._stored(incoming, sha256)
        if self.index.holds(stored.sop_instance_uid, sha256):
            return Receipt.DUPLICATE, stored
        self.archive.keep(incoming, stored.path)
        limit = self.limits.max_study_instances
        return self.index.add(stored, opens_study, limit), stored

    def has_room(self) -> bool:
        """Whether an association may start."""
        return self.archive.free_bytes() > self.limits.disk_reserve_bytes

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self.limits.max_object_bytes:
            raise UploadTooLarge("The object is larger than this installation takes.")
        if self.archive.free_bytes() - size_bytes < self.limits.disk_reserve_bytes:
            raise StorageFull("The disk reserve is reached: free space, then send again.")

    def _stored(self, incoming: IncomingInstance, sha256: str) -> StoredInstance:
        return StoredInstance(
            study_instance_uid=incoming.study_instance_uid,
            series_instance_uid=incoming.series_instance_uid,
            sop_instance_uid=incoming.sop_instance_uid,
            sop_class_uid=incoming.sop_class_uid,
            transfer_syntax_uid=incoming.transfer_syntax_uid,
            sha256=sha256,
            path=storage_path(incoming, sha256),
            size_bytes=incoming.size_bytes,
            sender=incoming.sender,
            received_at=self.clock(),
        )
