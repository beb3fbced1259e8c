"""Where the fragments of a data set go: to the disk, into memory, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from willis_models.errors import UploadTooLarge, WillisError
from willis_service.application.ports import Landing

_LARGEST_IN_MEMORY = 32 * 1024 * 1024
_WASTE_BYTES = 64 * 1024


class Sink(Protocol):
    """Takes the fragments of one data set. No method but ``finish`` raises."""

    def room(self) -> memoryview:
        """Where the next bytes are to be put; never empty."""
        ...

    def filled(self, count: int) -> None:
        """So many bytes were put there."""
        ...

    def finish(self) -> int:
        """The data set is whole: the status of the response."""
        ...

    def discard(self) -> None:
        """The association ended in the middle of it. Harmless after ``finish``."""
        ...


@dataclass
class Waste:
    """Lets a data set pass that is refused, since the answer comes after it."""

    status: int
    _memory: memoryview = field(default_factory=lambda: memoryview(bytearray(_WASTE_BYTES)))

    def room(self) -> memoryview:
        """The same memory again and again."""
        return self._memory

    def filled(self, count: int) -> None:
        """Nothing is kept."""

    def finish(self) -> int:
        """The refusal."""
        return self.status

    def discard(self) -> None:
        """Nothing was kept."""


@dataclass
class InMemory:
    """Collects a small data set for ``handle``, which gives the status."""

    handle: Callable[[bytes], int]
    too_large: int
    _content: bytearray = field(default_factory=bytearray)
    _memory: memoryview = field(default_factory=lambda: memoryview(bytearray(_WASTE_BYTES)))
    _is_too_large: bool = False

    def room(self) -> memoryview:
        """A piece of memory, emptied each time."""
        return self._memory

    def filled(self, count: int) -> None:
        """Add it to what is there, up to a limit."""
        self._is_too_large |= len(self._content) + count > _LARGEST_IN_MEMORY
        if not self._is_too_large:
            self._content += self._memory[:count]

    def finish(self) -> int:
        """What ``handle`` says of the whole."""
        return self.too_large if self._is_too_large else self.handle(bytes(self._content))

    def discard(self) -> None:
        """Nothing was kept."""


@dataclass
class OnDisk:
    """Receives an object into a landing, for ``store``; after an error the rest of it passes."""

    landing: Landing
    largest_bytes: int
    store: Callable[[Landing], int]
    status_of: Callable[[BaseException], int]
    _waste: Waste | None = None

    def room(self) -> memoryview:
        """The landing's buffer."""
        return self.landing.room() if self._waste is None else self._waste.room()

    def filled(self, count: int) -> None:
        """Pass it on to the disk."""
        if self._waste is not None:
            return
        try:
            self.landing.filled(count)
            if self.landing.size_bytes > self.largest_bytes:
                raise UploadTooLarge("The object is larger than this installation takes.")
        except (WillisError, OSError) as error:
            self.landing.close()
            self._waste = Waste(self.status_of(error))

    def finish(self) -> int:
        """Store it."""
        return self.store(self.landing) if self._waste is None else self._waste.finish()

    def discard(self) -> None:
        """Forget what landed."""
        self.landing.close()
