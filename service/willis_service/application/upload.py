"""Take objects that come over the web as those that come over DICOM (STOW-RS)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from willis_models.errors import (
    DatabaseUnavailable,
    DecodingError,
    StorageFull,
    UploadTooLarge,
    WillisError,
)
from willis_service.application.ports import InstanceParser
from willis_service.application.receive import Intake
from willis_service.domain.instance import IncomingInstance, Receipt
from willis_service.domain.upload import Taken, UploadFailure

_LOG = structlog.get_logger(__name__)
_FAILURES: tuple[tuple[type[WillisError], UploadFailure], ...] = (
    (StorageFull, UploadFailure.OUT_OF_RESOURCES),
    (DatabaseUnavailable, UploadFailure.OUT_OF_RESOURCES),
    (UploadTooLarge, UploadFailure.TOO_LARGE),
    (DecodingError, UploadFailure.NOT_UNDERSTOOD),
)


@dataclass(frozen=True)
class TakeUploads:
    """The ``UploadTaker`` of an installation; ``takes_class`` says which SOP classes it takes."""

    intake: Intake
    parse: InstanceParser
    takes_class: Callable[[str], bool]

    def has_room(self) -> bool:
        """Whether anything can be taken now."""
        return self.intake.has_room()

    def __call__(self, path: Path, sender: str, study_instance_uid: str | None) -> Taken:
        """Store one file as an instance, of this study where one is given.

        When this returns a receipt, the instance is as durable as one that came by C-STORE, and its
        study is open for routing.
        """
        try:
            instance = replace(self.parse(path), sender=sender)
        except WillisError as error:
            return Taken(failure=_failure(error))
        if study_instance_uid not in (None, instance.study_instance_uid):
            return _named(instance, UploadFailure.OTHER_STUDY)
        if not self.takes_class(instance.sop_class_uid):
            return _named(instance, UploadFailure.CLASS_NOT_SUPPORTED)
        try:
            receipt = self.intake.take(instance)[0]
        except WillisError as error:
            _LOG.warning("instance_refused", code=error.code)
            return _named(instance, _failure(error))
        if receipt is Receipt.CONFLICT:
            _LOG.warning("instance_conflict", sender=sender)
        return replace(_named(instance, None), receipt=receipt)


def _failure(error: WillisError) -> UploadFailure:
    found = (failure for kind, failure in _FAILURES if isinstance(error, kind))
    return next(found, UploadFailure.PROCESSING_FAILURE)


def _named(instance: IncomingInstance, failure: UploadFailure | None) -> Taken:
    return Taken(
        failure=failure,
        study_instance_uid=instance.study_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
    )
