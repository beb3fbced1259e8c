"""A key object selection "Rejected for Quality Reasons": IHE's way to withdraw objects (IOCM)."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from highdicom.sr import DeviceObserverIdentifyingAttributes, ObserverContext
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import UID
from pydicom.valuerep import DA, TM

from willis_models.errors import NotReady
from willis_service.adapters.dicom.result_headers import (
    Equipment,
    complete_result,
    device_uid,
    local_time,
    plain_text,
    without_patient,
)
from willis_service.application.ports import ResultShelf
from willis_service.domain.job import DICOM_OBJECTS, Job, ResultKind

_NAMESPACE = uuid.UUID("0d1c3d0f-61f5-5a43-8a5e-6f0b2c9f3b77")


@dataclass(frozen=True)
class WriteRetraction:
    """Writes the selection beside the results of its job. ``keep`` makes bytes durable."""

    shelf: ResultShelf
    equipment: Equipment
    keep: Callable[[Path, bytes], None]

    def __call__(self, job: Job, reason: str, now: datetime) -> None:
        """Make it durable. Raises NotReady where the files are gone."""
        kinds = [kind for kind in DICOM_OBJECTS if kind in job.results]
        try:
            rejected = [_header(self.shelf.path(job.id, kind)) for kind in kinds]
        except FileNotFoundError as error:
            raise NotReady("The result's files are gone: reject them in the archive.") from error
        made = retraction(rejected, reason, self.equipment, now)
        buffer = BytesIO()
        made.save_as(buffer, enforce_file_format=True)
        self.keep(self.shelf.path(job.id, ResultKind.RETRACTION), buffer.getvalue())


def retraction(
    rejected: Sequence[Dataset], reason: str, equipment: Equipment, now: datetime
) -> Dataset:
    """The selection that rejects these objects of one study; the last one is the report.

    UIDs follow from the report's, so that it is the same object however often it is made.
    """
    report = rejected[-1]
    moment = local_time(now, report)
    evidence = [without_patient(one) for one in rejected]
    content = KeyObjectSelection(
        document_title=codes.DCM.RejectedForQualityReasons,
        referenced_objects=evidence,
        observer_device_context=_observer(equipment),
        description=plain_text(reason) or None,
    )
    made = KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        series_instance_uid=_uid("series", report),
        series_number=int(report.SeriesNumber) + 1,
        sop_instance_uid=_uid("instance", report),
        instance_number=1,
        manufacturer=equipment.manufacturer,
        contributing_equipment=[],
    )
    made.ManufacturerModelName = equipment.model_name
    made.DeviceSerialNumber = equipment.serial_number
    made.SoftwareVersions = equipment.software_version
    made.SeriesDescription = "Willis result rejected"
    made.ContentDate, made.ContentTime = DA(moment.date()), TM(moment.time())
    complete_result(made, report, moment)
    return made


def _observer(equipment: Equipment) -> ObserverContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=device_uid(equipment),
        manufacturer_name=equipment.manufacturer,
        model_name=f"{equipment.model_name} {equipment.software_version}",
        serial_number=equipment.serial_number,
    )
    return ObserverContext(codes.DCM.Device, device)


def _header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True)


def _uid(purpose: str, report: Dataset) -> UID:
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{purpose}|{report.SOPInstanceUID}').int}")
