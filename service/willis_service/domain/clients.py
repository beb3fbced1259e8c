"""Programs that talk to REST under a name and a key of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_SHORTEST_KEY = 16


@dataclass(frozen=True)
class ApiClient:
    """A client: its name is the sender of what it stores, its key is shown nowhere."""

    name: str
    key: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> ApiClient:
        """Read ``name:key``. Raises ValueError, whose text does not repeat the key."""
        name, _, key = text.strip().partition(":")
        if not _NAME.fullmatch(name):
            raise ValueError("a client is written name:key; its name has letters and digits.")
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the key of {name} is shorter than {_SHORTEST_KEY} characters.")
        return cls(name, key)
