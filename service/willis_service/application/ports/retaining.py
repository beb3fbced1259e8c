"""What is kept, and the way to let go of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from willis_service.domain.retention import Holding, Part


class Holdings(Protocol):
    """What is kept of studies that have ended, as the database knows it."""

    def oldest_first(self) -> Iterator[Holding]:
        """Everything that is kept, what arrived first first; read as it is asked for."""
        ...

    def remove(self, holding: Holding, part: Part, now: datetime) -> bool:
        """Forget and delete one part; False where something happened to the study meanwhile."""
        ...

    def sweep(self, now: datetime) -> int:
        """Delete files that were forgotten and are still there after a crash; how many."""
        ...
