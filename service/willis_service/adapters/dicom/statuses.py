"""What a peer is told: the status for each kind of trouble (PS3.4 B.2.3, PS3.7 annex C)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import structlog

from willis_models import errors
from willis_models.errors import WillisError

_LOG = structlog.get_logger(__name__)

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
NO_SUCH_CLASS = 0x0118
CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
NO_RESOURCES = 0xA700
DATA_SET_MISMATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

STATUS_OF: Mapping[type[WillisError], int] = MappingProxyType(
    {
        errors.StorageFull: NO_RESOURCES,  # transient: the sender tries again (R2)
        errors.DatabaseUnavailable: NO_RESOURCES,
        errors.UploadTooLarge: RESOURCE_LIMITATION,
        errors.DecodingError: CANNOT_UNDERSTAND,
        errors.UnknownRequester: NOT_AUTHORISED,
    }
)
"""Any other error is a processing failure."""

COMMENT_OF: Mapping[int, str] = MappingProxyType(
    {
        PROCESSING_FAILURE: "Processing failure, see the receiver's log",
        CLASS_NOT_SUPPORTED: "SOP class is not the one of the presentation context",
        NOT_AUTHORISED: "Not authorised",
        RESOURCE_LIMITATION: "Larger than this installation takes",
        NO_RESOURCES: "No space or database busy: send again later",
        DATA_SET_MISMATCH: "Data set and command name different objects",
        CANNOT_UNDERSTAND: "Identifiers of the data set cannot be read",
    }
)
"""(0000,0902) Error Comment, for the log of the peer."""


def status_of(error: BaseException) -> int:
    """The status that tells a peer what went wrong; logs it."""
    if isinstance(error, WillisError):
        status = STATUS_OF.get(type(error), PROCESSING_FAILURE)
        _LOG.warning("instance_refused", code=error.code, status=f"0x{status:04X}")
        return status
    # The edge of the protocol: the peer gets an answer whatever broke (R4).
    _LOG.error("instance_failed", error=type(error).__name__, exc_info=error)
    return PROCESSING_FAILURE
