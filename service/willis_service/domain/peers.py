"""DICOM peers: who may send to us, and where results go."""

from __future__ import annotations

import re
from dataclasses import dataclass

_AE_TITLE = re.compile(r"[^\x00-\x1f\\\x7f-\U0010ffff]{1,16}")
_DESTINATION = re.compile(r"(?P<title>[^@]+)@(?P<host>\[[^]]+\]|[^:@\s]+):(?P<port>\d{1,5})")


def checked_ae_title(text: str) -> str:
    """An application entity title of 1-16 printable characters (PS3.5 table 6.2-1).

    Raises ValueError.
    """
    title = text.strip()
    if not _AE_TITLE.fullmatch(title):
        raise ValueError(f"{text!r} is no AE title: 1 to 16 printable ASCII characters, no '\\'.")
    return title


@dataclass(frozen=True)
class Destination:
    """A receiver of results, written ``AET@host:port``."""

    ae_title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read ``AET@host:port``. Raises ValueError."""
        match = _DESTINATION.fullmatch(text.strip())
        if match is None or not 0 < int(match["port"]) < 65536:
            raise ValueError(f"{text!r} is no destination: write AET@host:port.")
        host = match["host"].strip("[]")
        return cls(checked_ae_title(match["title"]), host, int(match["port"]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"


@dataclass(frozen=True)
class AllowedSender:
    """A calling AE title that may send, from one address only where ``host`` is given."""

    ae_title: str
    host: str | None = None

    @classmethod
    def parse(cls, text: str) -> AllowedSender:
        """Read ``AET`` or ``AET@address``. Raises ValueError."""
        title, _, host = text.strip().partition("@")
        return cls(checked_ae_title(title), host or None)

    def __str__(self) -> str:
        return self.ae_title if self.host is None else f"{self.ae_title}@{self.host}"


ANY_SENDER = AllowedSender("*")


@dataclass(frozen=True)
class SenderList:
    """Who may open an association. ``*`` lets anybody in and has to be asked for."""

    allowed: tuple[AllowedSender, ...]

    @property
    def is_promiscuous(self) -> bool:
        """Whether every sender is let in."""
        return ANY_SENDER in self.allowed

    def admits(self, ae_title: str, address: str) -> bool:
        """Whether this calling AE title may send from this address."""
        return self.is_promiscuous or any(
            sender.ae_title == ae_title.strip() and sender.host in (None, address)
            for sender in self.allowed
        )
