"""What the REST edge is told when it is built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from willis_models.pipelines.base import Pipeline
from willis_service.application.ports.models import ModelEntry
from willis_service.application.ports.studies import PixelReader, StudyRoom, UploadTaker
from willis_service.domain.clients import ApiClient

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

    ``api_keys`` and ``api_clients`` empty let nobody in; ``api_keys`` None switches authentication
    off and has to be asked for. Pages from ``cors_origins`` may ask from a browser.
    Addresses in answers begin with ``public_url``, else with what the client called us.
    ``sync_limit_s`` bounds how long a caller may wait for a result in one request, and
    ``waiting_callers`` how many may wait at once; the next one gets 202 straight away.
    """

    api_keys: tuple[str, ...] | None
    upload_folder: Path
    sync_limit_s: float = 60.0
    waiting_callers: int = 16
    uploads: UploadLimits = UploadLimits()
    api_clients: tuple[ApiClient, ...] = ()
    cors_origins: tuple[str, ...] = ()
    public_url: str | None = None
    object_bytes: int = GIB


@dataclass(frozen=True)
class Imaging:
    """What DICOMweb and the list of studies stand on."""

    room: StudyRoom
    take: UploadTaker
    pixels: PixelReader


@dataclass(frozen=True)
class Catalogue:
    """The pipelines and model bundles of this installation."""

    pipelines: Sequence[Pipeline]
    models: Callable[[], Sequence[ModelEntry]]


class RequestTelemetry(Protocol):
    """Counts requests and renders every metric of the process."""

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request under its route template."""
        ...

    def render(self) -> tuple[bytes, str]:
        """The metrics page and its media type."""
        ...
