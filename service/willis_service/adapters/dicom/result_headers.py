"""What every DICOM result has in common: identity, equipment, patient and study, time.

highdicom validates the patient's attributes and logs what it dislikes. So it is given headers
without a patient, and the source's patient and study modules are copied into the result after.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import highdicom as hd
from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.sr.codedict import codes
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, CTImageStorage
from pydicom.valuerep import DA, TM

from willis_models.findings import Findings, ModelIdentity
from willis_service.adapters.dicom.concepts import private_scheme

RESEARCH_USE_DESCRIPTION = "Research use only - not for diagnosis - not validated"
_NAMESPACE = uuid.UUID("6f0a3f1c-52a7-5c0e-9d5c-6d2d6d0b9a11")

# Type 2 attributes that highdicom reads without asking whether they are there.
_PATIENT_AND_STUDY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_METHOD_NOT_STATED = "Not stated by the source images"
_SHARED_GROUPS = ("PlaneOrientationSequence", "PixelMeasuresSequence")


@dataclass(frozen=True)
class Equipment:
    """The installation that makes the results: DICOM's Enhanced General Equipment."""

    software_version: str
    serial_number: str
    manufacturer: str = "Willis"
    model_name: str = "Willis stroke imaging"


@dataclass(frozen=True)
class ResultIdentity:
    """UIDs and series numbers that follow from the input, the model and the software alone.

    A rerun gives the same UIDs, so that an archive recognises it; another model or software
    version gives others, because it may give another answer.
    """

    study_instance_uid: str
    key: str
    source_series_number: int
    version: int = 1
    """1 for a first result, 2 for the one that amends it, and so on; the InstanceNumber."""

    def uid(self, *purpose: str) -> UID:
        """The UID for one purpose, such as ``("seg", "instance")``: UUID-derived, under 2.25."""
        return _uid(self.study_instance_uid, self.key, *purpose)

    def series_number(self, offset: int) -> int:
        """A series number beside the source's: source 4 gives 401, 402, ..."""
        return self.source_series_number % 1_000_000 * 100 + offset


def _uid(*parts: str) -> UID:
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(parts)).int}")


def device_uid(equipment: Equipment) -> UID:
    """The UID of this installation as a device observer."""
    return _uid("device", equipment.manufacturer, equipment.model_name, equipment.serial_number)


def result_identity(
    headers: Sequence[Dataset],
    findings: Findings,
    equipment: Equipment,
    predecessor: Dataset | None = None,
) -> ResultIdentity:
    """The identity of the results for these source images.

    A result that amends another, the ``predecessor``, gets UIDs of its own even where it is made of
    the same images: after a notice that the analysis failed, or where late images changed nothing
    of what is reported on.
    """
    instances = sorted(str(header.SOPInstanceUID) for header in headers)
    model = findings.model
    bundle = (model.name, model.version, model.weights_sha256) if model else ("no model",)
    parts = [findings.pipeline, *bundle, equipment.software_version, *instances]
    if findings.rejection is not None:
        parts += [findings.status, findings.rejection.code]
    if predecessor is not None:
        parts += ["amends", str(predecessor.SOPInstanceUID)]
    return ResultIdentity(
        study_instance_uid=str(headers[0].StudyInstanceUID),
        key="|".join(parts),
        source_series_number=int(headers[0].get("SeriesNumber") or 0),
        version=1 if predecessor is None else int(predecessor.get("InstanceNumber") or 1) + 1,
    )


def without_patient(header: Dataset) -> Dataset:
    """A copy whose patient and study attributes are empty; the original stays as it is."""
    bare = _copied(header)
    for keyword in _PATIENT_AND_STUDY:
        bare.add_new(_tag(keyword), dictionary_VR(keyword), "")
    if "SharedFunctionalGroupsSequence" in header:
        _share_first_frame_groups(bare)
    return bare


def of_known_class(copied: Dataset) -> Dataset:
    """Say that it is a CT image: highdicom looks modules up by SOP class, and knows not all.

    Patient and study are the same modules whatever the class.
    """
    copied.add_new(_tag("SOPClassUID"), "UI", CTImageStorage)
    return copied


def _copied(header: Dataset) -> Dataset:
    """The public elements in a dataset of their own; ``Dataset(header)`` would share its table."""
    copied = Dataset()
    for tag in header.keys():  # noqa: SIM118 - iterating the dataset itself decodes twice
        if not tag.is_private:
            copied.add(header[tag])
    return copied


def _share_first_frame_groups(bare: Dataset) -> None:
    """Some scanners repeat orientation and spacing in each frame; highdicom wants them shared."""
    shared = deepcopy(bare.SharedFunctionalGroupsSequence[0])
    first = bare.PerFrameFunctionalGroupsSequence[0]
    for keyword in _SHARED_GROUPS:
        if keyword not in shared and keyword in first:
            shared[_tag(keyword)] = first[_tag(keyword)]
    bare.add_new(_tag("SharedFunctionalGroupsSequence"), "SQ", [shared])


def common_arguments(
    kind: str,
    offset: int,
    identity: ResultIdentity,
    equipment: Equipment,
    model: ModelIdentity | None,
    created: datetime,
) -> dict[str, Any]:
    """Arguments that the constructors of SEG and SR share. ``created`` is the result's time."""
    return {
        "series_instance_uid": identity.uid(kind, "series"),
        "series_number": identity.series_number(offset),
        "sop_instance_uid": identity.uid(kind, "instance"),
        "instance_number": identity.version,
        "manufacturer": equipment.manufacturer,
        "manufacturer_model_name": equipment.model_name,
        "software_versions": equipment.software_version,
        "device_serial_number": equipment.serial_number,
        "content_date": created.date(),
        "content_time": created.time(),
        "content_qualification": "RESEARCH",
        "coding_schemes": [private_scheme()],
        "specific_character_set": None,
        "contributing_equipment": [_contribution(equipment, model, created)],
    }


def _contribution(
    equipment: Equipment, model: ModelIdentity | None, created: datetime
) -> hd.ContributingEquipment:
    described = f"Analysed with {model.name} {model.version}" if model else "Checked"
    return hd.ContributingEquipment(
        manufacturer=equipment.manufacturer,
        purpose_of_reference=codes.DCM.ProcessingEquipment,
        manufacturer_model_name=equipment.model_name,
        software_versions=equipment.software_version,
        device_serial_number=equipment.serial_number,
        contribution_datetime=created,
        contribution_description=described,
    )


def local_time(created: datetime, source: Dataset) -> datetime:
    """``created`` in the zone that the source declares, else in this installation's.

    TimezoneOffsetFromUTC holds for every date and time of the object, the source's study date
    included: a result must not move them into another zone.
    """
    return created.astimezone(_declared_zone(source))


def _declared_zone(source: Dataset) -> tzinfo | None:
    text = str(source.get("TimezoneOffsetFromUTC") or "")
    digits = text.lstrip("+-")
    if len(digits) != 4 or not digits.isdigit():
        return None
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text.startswith("-") else offset)


def complete_result(result: hd.base.SOPClass, source: Dataset, created: datetime) -> None:
    """Put in what comes from the source: patient, study, character set, earlier equipment."""
    result.copy_patient_and_study_information(of_known_class(_copied(source)))
    if result.get("PatientIdentityRemoved") == "YES" and not result.get("DeidentificationMethod"):
        result.DeidentificationMethod = _METHOD_NOT_STATED  # type 1C: PS3.3 table C.7-1
    if "SpecificCharacterSet" in source:
        result.SpecificCharacterSet = source.SpecificCharacterSet
    result.InstanceCreationDate = result.SeriesDate = DA(created.date())
    result.InstanceCreationTime = result.SeriesTime = TM(created.time())
    result.TimezoneOffsetFromUTC = created.strftime("%z")[:5]
    earlier = [deepcopy(item) for item in source.get("ContributingEquipmentSequence", ())]
    result.ContributingEquipmentSequence = [*earlier, *result.ContributingEquipmentSequence]


def plain_text(text: str) -> str:
    """Text that every character set can hold: the source's may be plain ASCII."""
    replaced = text.translate({0x2013: "-", 0x2014: "-", 0x2212: "-", 0xB1: "+-", 0xB0: " deg"})
    return replaced.encode("ascii", "replace").decode("ascii")


def algorithm_parameters(parameters: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Parameters without ',' and '=': highdicom joins them with both and can't part them again."""
    table = str.maketrans({",": ";", "=": ":"})
    return {name.translate(table): value.translate(table) for name, value in parameters}


def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return Tag(tag)
