"""What the REST edge is told when it is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from willis_models.manifest import Manifest
from willis_models.pipelines.base import Pipeline

GIB = 2**30


@dataclass(frozen=True)
class UploadLimits:
    """How much one request may bring: on the wire, unpacked, and in number of files."""

    body_bytes: int = 4 * GIB
    unpacked_bytes: int = 16 * GIB
    files: int = 20_000


@dataclass(frozen=True)
class RestConfig:
    """Keys, limits and folders of the REST edge.

    ``api_keys`` empty lets nobody in; None switches authentication off and has to be asked for.
    ``sync_limit_s`` bounds how long a caller may wait for a result in one request, and
    ``waiting_callers`` how many may wait at once; the next one gets 202 straight away.
    """

    api_keys: tuple[str, ...] | None
    upload_folder: Path
    sync_limit_s: float = 60.0
    waiting_callers: int = 16
    uploads: UploadLimits = UploadLimits()


@dataclass(frozen=True)
class Catalogue:
    """The pipelines and model bundles of this installation."""

    pipelines: Sequence[Pipeline]
    models: Sequence[Manifest]


class RequestTelemetry(Protocol):
    """Counts requests and renders every metric of the process."""

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route template."""
        ...

    def render(self) -> tuple[bytes, str]:
        """The metrics page and its media type."""
        ...
