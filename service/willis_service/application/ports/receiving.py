"""Where received bytes are kept and indexed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from willis_models.errors import UploadTooLarge
from willis_service.domain.instance import Arrival, IncomingInstance, Receipt, StoredInstance


class Landing(Protocol):
    """A file on its way in. Nobody sees it until it is put, and a crash leaves nothing of it.

    ``close`` ends it in any case. Raises StorageFull where a write finds no space.
    """

    @property
    def size_bytes(self) -> int:
        """What came so far, header included."""
        ...

    def room(self) -> memoryview:
        """Where the next bytes of the data set are to be put; never empty."""
        ...

    def filled(self, count: int) -> None:
        """So many bytes were put there."""
        ...

    def write(self, content: bytes) -> None:
        """Add bytes of the data set."""
        ...

    def head(self) -> memoryview:
        """The beginning of the data set: all of it where it is small."""
        ...

    def finish(self) -> str:
        """No more comes: the data set's digest. The bytes are written, not yet durable."""
        ...

    def reader(self) -> BinaryIO:
        """The whole data set, after ``finish``."""
        ...

    def put(self, place: str) -> None:
        """Give the file its name, relative to the data folder. It is not yet durable there."""
        ...

    def close(self) -> None:
        """End it. What was not put is gone; what was put is no longer in memory."""
        ...


@dataclass(frozen=True)
class Kept:
    """A file that was put in its place, and the row that it is to get."""

    landing: Landing
    instance: StoredInstance
    opens_study: bool


class InstanceArchive(Protocol):
    """The folder where received bytes are kept."""

    def land(self, header: bytes, transfer_syntax_uid: str) -> Landing:
        """Begin a file with its file-meta header."""
        ...

    def making_durable(self, group: Sequence[Kept]) -> AbstractContextManager[Callable[[], bool]]:
        """Make files durable, several at once, while the block runs. For one thread at a time.

        What the block gets waits until they are, and says whether their rows are durable too, in
        a journal: the index need not be then.
        """
        ...

    def restore(self, content: bytes, place: str) -> None:
        """Have a file with these bytes at this place, durably."""
        ...

    def forget(self, stored: str) -> None:
        """Remove something kept that nothing refers to."""
        ...

    def path_of(self, stored: str) -> Path:
        """The absolute path of something kept."""
        ...

    def free_bytes(self) -> int:
        """Space left."""
        ...


class ImageArchive(Protocol):
    """The folder where uploaded NIfTI images are kept."""

    def keep_file(self, source: Path) -> tuple[str, str]:
        """Make a copy durable; its path relative to the data folder, and its SHA-256."""
        ...


class StudyIndex(Protocol):
    """What was received, as the database knows it."""

    def find(self, sop_instance_uid: str, sha256: str) -> StoredInstance | None:
        """Exactly this instance, if it was stored before."""
        ...

    def add_all(
        self, arrivals: Sequence[Arrival], wait_for_files: Callable[[], bool]
    ) -> Sequence[Receipt | UploadTooLarge]:
        """Index instances; what became of each. Durable when this returns.

        ``wait_for_files`` is called before others can see them, and says whether a journal would
        bring the rows back. The file of a duplicate is not referred to: the one stored before
        stays.
        """
        ...

    def instances(self, study_instance_uid: str) -> Sequence[StoredInstance]:
        """The study's instances in order of arrival, conflicting ones left out."""
        ...

    def count_conflicts(self, study_instance_uid: str) -> int:
        """How many instances came with other bytes under a known UID."""
        ...


class InstanceParser(Protocol):
    """Reads the header of an uploaded file."""

    def __call__(self, path: Path) -> IncomingInstance:
        """The instance, its pixel data undecoded. Raises DecodingError."""
        ...
