"""Logs: events with keys, on standard error, one line each."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.types import Processor

LogFormat = Literal["console", "json"]

# Event keys that would name a person or lead to one. They are removed wherever they appear.
PATIENT_KEYS = frozenset(
    {
        "patient",
        "patient_id",
        "patient_name",
        "patient_birth_date",
        "patient_address",
        "accession_number",
        "referring_physician",
        "institution_name",
        "other_patient_ids",
    }
)

# These print data elements, and so patient data, below the level given here.
_TALKATIVE: dict[str, int] = {
    "pynetdicom": logging.WARNING,
    "pydicom": logging.ERROR,
    "highdicom": logging.WARNING,
    "python_multipart": logging.WARNING,
    "httpx": logging.WARNING,
    "uvicorn.access": logging.WARNING,
    # Two lines for each message; the service says itself what became of a job.
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    # Two lines at each start about which database it found.
    "alembic": logging.WARNING,
}


def without_patient_keys(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Take out every key that would identify a patient, however it is written."""
    for key in [key for key in event if _plain(key) in _PLAIN_PATIENT_KEYS]:
        event[key] = "[removed]"
    return event


def _plain(key: str) -> str:
    return key.replace("_", "").lower()


_PLAIN_PATIENT_KEYS = frozenset(_plain(key) for key in PATIENT_KEYS)


def configure_logs(level: str = "INFO", log_format: LogFormat = "console") -> None:
    """Send structlog and standard logging through one formatter. Called once, by an entry point."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_patient_keys,
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _replace_root_handler(_formatter(shared, log_format), level)
    for name, quiet_level in _TALKATIVE.items():
        logging.getLogger(name).setLevel(quiet_level)


def _formatter(shared: list[Processor], log_format: LogFormat) -> ProcessorFormatter:
    chain: list[Processor] = [ProcessorFormatter.remove_processors_meta]
    if log_format == "json":
        chain += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain traces: a rich one prints local variables, and those may hold patient data.
        plain = structlog.dev.plain_traceback
        colours = sys.stderr.isatty()
        chain.append(structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain))
    return ProcessorFormatter(foreign_pre_chain=shared, processors=chain)


def _replace_root_handler(formatter: logging.Formatter, level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
