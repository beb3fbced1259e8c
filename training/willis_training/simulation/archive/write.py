"""Write a whole archive with a DICOMDIR, and beside it, apart, the truth about its outlined heads.

    python -m willis_training.simulation.archive.write --study demo/ncct_right_mca --out archive

Every patient is made up, and every file says so.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from willis_models.volume import SliceStack
from willis_training.simulation.archive.dicomdir import write_dicomdir
from willis_training.simulation.archive.drawing import Hand, draw_outlines, put_overlays
from willis_training.simulation.archive.heads import (
    BaseHead,
    Deformation,
    LabelledScan,
    Protocol,
    head_of_study,
    scan_deformed,
)
from willis_training.simulation.archive.kinds import MIXTURE, OUTLINED, THICK, SeriesKind
from willis_training.simulation.archive.truth import WrittenArchive, save_truth

INTERCEPT = -1024
PATIENTS = 8
SERIES_A_STUDY = 2
FILLER_MATRIX = 32


@dataclass(frozen=True)
class ArchivePlan:
    """How large the archive is; the same plan and head give the same archive, byte by byte."""

    outlined: int = OUTLINED
    mixture: tuple[tuple[SeriesKind, int], ...] = MIXTURE
    protocol: Protocol = field(default_factory=Protocol)
    deformation: Deformation = field(default_factory=Deformation)
    hand: Hand = field(default_factory=Hand)
    seed: int = 1

    @property
    def reasons(self) -> dict[str, int]:
        """How many series curation must set aside, for each reason."""
        counts: Counter[str] = Counter()
        for kind, count in self.mixture:
            if kind.reason is not None:
                counts[kind.reason] += count
        return dict(counts)

    @property
    def kept(self) -> int:
        """How many series curation must keep."""
        return self.outlined + sum(count for kind, count in self.mixture if kind.reason is None)


def write_archive(base: BaseHead, plan: ArchivePlan, folder: Path) -> WrittenArchive:
    """Write every series of a plan under ``folder``, with a DICOMDIR that lists them."""
    truth: dict[str, LabelledScan] = {}
    files = [
        (_save(image, folder / f"SER{number:03d}" / f"IM{k:03d}"), image)
        for number, images in enumerate(_all_series(base, plan, truth))
        for k, image in enumerate(images)
    ]
    write_dicomdir(folder, files)
    return WrittenArchive(folder, truth)


def _save(image: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def _all_series(
    base: BaseHead, plan: ArchivePlan, truth: dict[str, LabelledScan]
) -> Iterator[list[Dataset]]:
    number = 0
    for _ in range(plan.outlined):
        rng = np.random.default_rng([plan.seed, number])
        scan = scan_deformed(base, plan.deformation, plan.protocol, rng)
        kind = replace(THICK, step_mm=plan.protocol.step_mm)
        images = _series(kind, scan.stack, plan, number)
        for k, image in enumerate(images):
            pixel_mm = scan.stack.pixel_spacing_mm[0]
            put_overlays(image, draw_outlines(scan.regions[k], pixel_mm, plan.hand, rng))
        truth[images[0].SeriesInstanceUID] = scan
        yield images
        number += 1
    for kind, count in plan.mixture:
        for _ in range(count):
            yield _series(kind, _filler(kind, plan, number), plan, number)
            number += 1


def _filler(kind: SeriesKind, plan: ArchivePlan, number: int) -> SliceStack:
    """A small stack of noise: what the headers say is all that matters here."""
    rng = np.random.default_rng([plan.seed, number])
    shape = (kind.slices, FILLER_MATRIX, FILLER_MATRIX)
    pixel_mm = plan.protocol.field_of_view_mm / FILLER_MATRIX
    tilt = np.radians(kind.elements.get("GantryDetectorTilt", 0.0))
    origins = np.zeros((kind.slices, 3))
    origins[:, 2] = np.arange(kind.slices) * kind.step_mm / np.cos(tilt)
    column = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    voxels = rng.integers(0, 60, shape).astype(np.int16)
    return SliceStack(voxels, origins, np.array([pixel_mm, 0.0, 0.0]), column * pixel_mm)


def _series(kind: SeriesKind, stack: SliceStack, plan: ArchivePlan, number: int) -> list[Dataset]:
    uids = _Uids(plan.seed, number)
    return [_image(kind, stack, k, uids, number) for k in range(stack.shape[0])]


@dataclass(frozen=True)
class _Uids:
    """UIDs from the plan's seed and the series' number alone."""

    seed: int
    number: int

    def of(self, *parts: object) -> str:
        # One text with separators: joined without, image 1 of 12 would be image 11 of 2.
        return str(generate_uid(entropy_srcs=["/".join(map(str, ("archive", self.seed, *parts)))]))


def _image(kind: SeriesKind, stack: SliceStack, k: int, uids: _Uids, number: int) -> Dataset:
    image = Dataset()
    image.SOPClassUID = kind.sop_class
    image.SOPInstanceUID = uids.of("image", number, k)
    _name_patient_and_study(image, uids, number)
    image.Modality = kind.modality
    image.SeriesInstanceUID = uids.of("series", number)
    image.SeriesNumber, image.InstanceNumber = number + 1, k + 1
    image.SeriesDescription = kind.description
    image.ContentDate, image.ContentTime = image.StudyDate, image.StudyTime
    if kind.is_image:
        _describe_pixels(image, kind, stack, k)
    else:
        # What a DICOMDIR's record of a report needs (PS3.3 F.5.25).
        image.CompletionFlag, image.VerificationFlag = "COMPLETE", "UNVERIFIED"
        concept = Dataset()
        concept.CodeValue, concept.CodingSchemeDesignator = "113701", "DCM"
        concept.CodeMeaning = "X-Ray Radiation Dose Report"
        image.ConceptNameCodeSequence = [concept]
    for keyword, value in kind.elements.items():
        setattr(image, keyword, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def _name_patient_and_study(image: Dataset, uids: _Uids, number: int) -> None:
    """Eight patients who came several times; each time some series were made."""
    patient = number % PATIENTS
    image.PatientName = f"Simulated^Patient{patient:02d}"
    image.PatientID = f"MADE-UP-{patient:02d}"
    image.PatientBirthDate = f"{1930 + patient}0615"
    image.PatientSex = "FMO"[patient % 3]
    image.PatientAge = f"{90 - patient:03d}Y"
    image.QualityControlSubject = "YES"
    visit = number // (PATIENTS * SERIES_A_STUDY)
    image.StudyInstanceUID = uids.of("study", patient, visit)
    image.StudyID = str(visit + 1)
    image.StudyDate, image.StudyTime = f"2020{visit + 1:02d}{patient + 1:02d}", "101500"
    image.StudyDescription = "SIMULATED, no patient"
    image.AccessionNumber = f"ACC{number:05d}"


def _describe_pixels(image: Dataset, kind: SeriesKind, stack: SliceStack, k: int) -> None:
    between_rows, between_columns = stack.pixel_spacing_mm
    row, column = stack.row_step_lps / between_columns, stack.column_step_lps / between_rows
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.BodyPartExamined, image.PatientPosition = "HEAD", "HFS"
    image.Manufacturer, image.ManufacturerModelName = "Willis", "Willis simulator"
    image.KVP, image.ConvolutionKernel = 120, "STANDARD"
    image.SliceThickness = kind.step_mm
    image.PixelSpacing = [_decimal(between_rows), _decimal(between_columns)]
    image.ImageOrientationPatient = [_decimal(cosine) for cosine in (*row, *column)]
    image.ImagePositionPatient = [_decimal(mm) for mm in stack.origins_lps[k]]
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = INTERCEPT, 1, "HU"
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = stack.voxels.shape[1:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.PixelRepresentation = 0
    pixels: NDArray[Any] = np.clip(stack.voxels[k].astype(np.int32) - INTERCEPT, 0, None)
    image.PixelData = pixels.astype("<u2").tobytes()


def _decimal(value: float) -> str:
    """A decimal string within DICOM's 16 characters (PS3.5 6.2)."""
    return f"{round(float(value), 6) + 0.0:.6f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.simulation.archive.write",
        description="Write a simulated hospital's archive: sixty series of mixed kinds with a "
        "DICOMDIR, twelve of them with ASPECTS outlines in overlay planes.",
    )
    parser.add_argument("--study", type=Path, default=Path("demo/ncct_right_mca"))
    parser.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    parser.add_argument("--matrix", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    plan = ArchivePlan(seed=chosen.seed)
    plan = replace(plan, protocol=replace(plan.protocol, matrix=chosen.matrix))
    written = write_archive(head_of_study(chosen.study), plan, chosen.out / "archive")
    save_truth(written, chosen.out / "truth")
    print(f"{chosen.out}/archive/DICOMDIR, truth of {len(written.truth)} series beside it")


if __name__ == "__main__":
    main()
