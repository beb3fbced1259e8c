"""What is held, for readers: REST's list of studies and DICOMweb."""

from __future__ import annotations

from willis_service.adapters.dicom.acceptance import STORAGE_CLASSES
from willis_service.adapters.dicom.frames import DicomPixels
from willis_service.adapters.dicom.header_json import read_file_header
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.rest.config import Imaging
from willis_service.adapters.storage.headers import SqlHeaders
from willis_service.adapters.storage.study_queries import SqlStudyQueries
from willis_service.adapters.storage.study_records import SqlStudyRecords
from willis_service.application.studies import DescribeHoldings, Reading
from willis_service.application.upload import TakeUploads
from willis_service.bootstrap.core import Core, clock

_DICOM_ROOT = "1.2.840.10008."


def imaging_of(core: Core) -> Imaging:
    """What DICOMweb and the list of studies stand on."""

    def takes(sop_class_uid: str) -> bool:
        is_private = not sop_class_uid.startswith(_DICOM_ROOT)
        return sop_class_uid in STORAGE_CLASSES or (
            core.settings.accept_private_classes and is_private
        )

    take = TakeUploads(core.intake, uploaded_instance, takes)
    return Imaging(reading_of(core), take, DicomPixels())


def reading_of(core: Core) -> Reading:
    """Searches over what is held."""
    return Reading(
        holdings=SqlStudyQueries(core.database),
        records=SqlStudyRecords(core.database),
        outcome=core.outcomes.study_outcome,
        describe=description_of(core),
        read=read_file_header,
        archive=core.folder,
        shelf=core.results,
    )


def description_of(core: Core) -> DescribeHoldings:
    """Reads headers into the index."""
    headers = SqlHeaders(core.database)
    return DescribeHoldings(headers, read_file_header, core.folder, core.results, clock)
