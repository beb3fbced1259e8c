"""Writes a simulated scan as a CT series, the way a scanner would: one lossless file a slice.

Everything in the files follows from the scan, the subject and a name; the same three give the
same bytes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, JPEGLSLossless

from willis_models.volume import SliceStack
from willis_training.simulation.scanner import Scanner

PADDING_HU = -2000
"""Stored outside the round field of view, and declared as PixelPaddingValue."""

MAKER = "Willis"
MODEL = "Willis simulator"
IMPLEMENTATION_UID = UID("2.25.288530563190206271187834231418311741731")
_NAMESPACE = uuid.UUID("d917b02f-5e3f-4c7f-9fd1-3f0a2f9f5c0b")
_KVP, _EXPOSURE_MAS = 120, 300


@dataclass(frozen=True)
class Subject:
    """A patient who does not exist. Dates as DICOM writes them (YYYYMMDD)."""

    name: str
    patient_id: str
    birth_date: str
    age_years: int
    sex: str


@dataclass(frozen=True)
class StudyLabel:
    """What the study is called, and when it says that it was made (YYYYMMDD, HHMMSS)."""

    key: str
    description: str
    series_description: str
    date: str
    time: str

    def uid(self, *parts: object) -> UID:
        """The UID of a part of the study, from its key alone."""
        name = "/".join(map(str, (self.key, *parts)))
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def write_dicom_series(
    stack: SliceStack, scanner: Scanner, subject: Subject, study: StudyLabel, folder: Path
) -> list[Path]:
    """Write ``stack`` (HU) into ``folder``, one file a slice from the feet up; returns the files.

    JPEG-LS without loss; pixels outside the round field of view are padding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outside = ~round_field(stack.shape[1], stack.shape[2])
    paths = []
    for k, voxels in enumerate(stack.voxels):
        dataset = image_header(stack, k, scanner, subject, study)
        pixels = np.where(outside, PADDING_HU, voxels).astype(np.int16)
        put_pixels(dataset, pixels)
        path = folder / f"{k + 1:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def round_field(rows: int, columns: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies in the circle that fits the image."""
    y, x = np.ogrid[:rows, :columns]
    radius = min(rows, columns) / 2
    middle_y, middle_x = (rows - 1) / 2, (columns - 1) / 2
    return np.asarray((y - middle_y) ** 2 + (x - middle_x) ** 2 <= radius**2)


def image_header(
    stack: SliceStack, k: int, scanner: Scanner, subject: Subject, study: StudyLabel
) -> Dataset:
    """Everything but the pixels of slice ``k``."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _describe_patient_and_study(dataset, subject, study)
    _describe_series(dataset, study)
    _describe_image(dataset, study, k)
    _describe_plane(dataset, stack, k, scanner)
    _describe_acquisition(dataset, scanner)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    # Named here, so that another pydicom writes the same bytes.
    dataset.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = "WILLIS_SIM"
    return dataset


def _describe_patient_and_study(dataset: Dataset, subject: Subject, study: StudyLabel) -> None:
    dataset.PatientName = subject.name
    dataset.PatientID = subject.patient_id
    dataset.PatientBirthDate = subject.birth_date
    dataset.PatientSex = subject.sex
    dataset.PatientAge = f"{subject.age_years:03d}Y"
    # PS3.3 C.7.1.1: a phantom or test subject, never a person.
    dataset.QualityControlSubject = "YES"
    dataset.StudyInstanceUID = study.uid("study")
    dataset.StudyDate, dataset.StudyTime = study.date, study.time
    dataset.StudyID = "1"
    dataset.StudyDescription = study.description
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""


def _describe_series(dataset: Dataset, study: StudyLabel) -> None:
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = study.uid("series")
    dataset.SeriesNumber = 2
    dataset.SeriesDate, dataset.SeriesTime = study.date, study.time
    dataset.SeriesDescription = study.series_description
    dataset.ProtocolName = "Head without contrast"
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = "HFS"
    dataset.FrameOfReferenceUID = study.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = MAKER
    dataset.ManufacturerModelName = MODEL
    dataset.DeviceSerialNumber = "SIMULATED"
    dataset.SoftwareVersions = "1"


def _describe_image(dataset: Dataset, study: StudyLabel, k: int) -> None:
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = study.uid("image", k)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ContentDate, dataset.ContentTime = study.date, study.time
    dataset.AcquisitionDate, dataset.AcquisitionTime = study.date, study.time
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = k + 1
    dataset.ImageComments = "Simulated: shows no patient"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"


def _describe_plane(dataset: Dataset, stack: SliceStack, k: int, scanner: Scanner) -> None:
    between_rows, between_columns = stack.pixel_spacing_mm
    cosines = (*stack.row_step_lps / between_columns, *stack.column_step_lps / between_rows)
    dataset.PixelSpacing = [decimal(between_rows), decimal(between_columns)]
    dataset.ImageOrientationPatient = [decimal(cosine) for cosine in cosines]
    dataset.ImagePositionPatient = [decimal(mm) for mm in stack.origins_lps[k]]
    # The table's height, as scanners give it: along z, which is not the slices' normal when tilted.
    dataset.SliceLocation = decimal(float(stack.origins_lps[k, 2]))
    dataset.SliceThickness = decimal(scanner.thickness_mm)
    dataset.GantryDetectorTilt = decimal(scanner.tilt_deg)


def decimal(value: float) -> str:
    """A decimal string within DICOM's 16 characters (PS3.5 6.2); never a negative zero."""
    return f"{round(value, 6) + 0.0:.6f}".rstrip("0").rstrip(".")


def _describe_acquisition(dataset: Dataset, scanner: Scanner) -> None:
    dataset.KVP = _KVP
    dataset.Exposure = _EXPOSURE_MAS
    dataset.ConvolutionKernel = "RAMP_GAUSS"
    dataset.ReconstructionDiameter = decimal(scanner.field_of_view_mm)
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "HU"
    dataset.WindowCenter, dataset.WindowWidth = [35, 40], [40, 80]
    dataset.WindowCenterWidthExplanation = ["STROKE", "BRAIN"]


def put_pixels(dataset: Dataset, pixels: NDArray[np.int16]) -> None:
    """Add stored values (rows, columns), JPEG-LS without loss."""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = 1
    dataset.add_new("PixelPaddingValue", "SS", PADDING_HU)
    dataset.compress(
        JPEGLSLossless, pixels, encoding_plugin="pyjpegls", generate_instance_uid=False
    )
