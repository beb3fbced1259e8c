"""Writes small dynamic CT series as DICOM, with the time tags of different makers.

The value of each voxel says when and where it was taken (``expected_hu``), so that a test knows
whether an image came to its place. Instance numbers and file names say nothing about the order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    generate_uid,
)

from tests.synthetic_ct import save_with_pixels

Stamp = Callable[[Dataset, int, float], None]
START = datetime(2024, 1, 15, 10, 12, 0)
PIXEL_MM, STEP_MM = 10.0, 5.0


def expected_hu(time_s: float, k: int, rows: int = 16, columns: int = 16) -> NDArray[np.int16]:
    """What slice k shows at this time: brighter with time, a ramp along x that tells left."""
    ramp = np.tile(np.arange(columns), (rows, 1))
    return np.asarray(round(10 * time_s) + 100 * k + ramp, np.int16)


def by_acquisition_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Siemens: the time of each image to the microsecond, a number for each time point."""
    moment = START + timedelta(seconds=time_s)
    dataset.AcquisitionDate, dataset.AcquisitionTime = _date(moment), _time(moment)
    dataset.AcquisitionNumber = t + 1
    # Reconstructed later, and not in the order of the acquisition.
    dataset.ContentTime = _time(START + timedelta(seconds=300 - t))


def by_acquisition_datetime(dataset: Dataset, t: int, time_s: float) -> None:
    """Philips: one moment for each image, and a number for each time point."""
    moment = START + timedelta(seconds=time_s)
    dataset.AcquisitionDateTime = f"{_date(moment)}{_time(moment)}"
    dataset.TemporalPositionIdentifier, dataset.NumberOfTemporalPositions = t + 1, 12


def by_mid_scan_time(dataset: Dataset, t: int, time_s: float) -> None:
    """GE cine: one AcquisitionTime for the whole scan, and the time of each image apart."""
    dataset.AcquisitionDate, dataset.AcquisitionTime = _date(START), _time(START)
    dataset.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x24, "DS", f"{time_s:.4f}")


def by_whole_seconds(dataset: Dataset, t: int, time_s: float) -> None:
    """AcquisitionTime cut to seconds beside the exact MidScanTime."""
    by_mid_scan_time(dataset, t, time_s)
    dataset.AcquisitionTime = _time(START + timedelta(seconds=int(time_s)))[:6]


def by_rounded_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Older Philips: AcquisitionTime in whole seconds, and nothing finer."""
    moment = START + timedelta(seconds=time_s)
    dataset.AcquisitionDate, dataset.AcquisitionTime = _date(moment), _time(moment)[:6]
    dataset.AcquisitionNumber = t + 1


def by_volume_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Canon: one time in tenths of a second for all slices of a volume; made in no such order."""
    moment = START + timedelta(seconds=time_s)
    dataset.AcquisitionDate, dataset.AcquisitionTime = _date(moment), _time(moment)[:8] + "00"
    dataset.AcquisitionNumber = t + 1
    dataset.ContentDate, dataset.ContentTime = _date(moment), _time(START + timedelta(seconds=400))


def by_trigger_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Milliseconds after the start."""
    dataset.TriggerTime = f"{1000 * time_s:.1f}"


def by_content_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Only the time at which the image was made."""
    moment = START + timedelta(seconds=time_s)
    dataset.ContentDate, dataset.ContentTime = _date(moment), _time(moment)


def by_number(dataset: Dataset, t: int, time_s: float) -> None:
    """Only a number, and how long each time point took."""
    dataset.TemporalPositionIdentifier, dataset.TemporalResolution = t + 1, 2000.0


def without_time(dataset: Dataset, t: int, time_s: float) -> None:
    """Only a number."""
    dataset.TemporalPositionIdentifier = t + 1


def past_midnight(dataset: Dataset, t: int, time_s: float) -> None:
    """A scan around midnight whose date stays that of the day before."""
    moment = datetime(2024, 1, 15, 23, 59, 50) + timedelta(seconds=time_s)
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20240115", _time(moment)


DIRECT: Mapping[str, Stamp] = {
    "AcquisitionTime": by_acquisition_time,
    "AcquisitionDateTime": by_acquisition_datetime,
    "MidScanTime": by_mid_scan_time,
    "whole seconds": by_whole_seconds,
    "TriggerTime": by_trigger_time,
    "around midnight": past_midnight,
}


@dataclass(frozen=True)
class Ctp:
    """A dynamic scan: when each slice of each time point was taken, (t, z) seconds."""

    times_s: NDArray[np.float64]
    stamp: Stamp = by_acquisition_time
    size: tuple[int, int] = (16, 16)
    seed: str = "ctp"
    study_seed: str = "study"
    series_number: int = 5
    tilt_mm: float = 0.0
    first_k: int = 0
    missing: Collection[tuple[int, int]] = ()
    copies: Collection[tuple[int, int]] = ()
    conflicting: Collection[tuple[int, int]] = ()
    slope: float = 1.0
    transfer_syntax: str = ExplicitVRLittleEndian
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> list[Path]:
        """One file for each image; the names say nothing."""
        folder.mkdir(parents=True, exist_ok=True)
        at = [(t, k) for t in range(len(self.times_s)) for k in range(self.times_s.shape[1])]
        paths = [self._write(folder, t, k) for t, k in at if (t, k) not in set(self.missing)]
        paths += [self._write(folder, t, k, copy=1) for t, k in self.copies]
        return paths + [self._write(folder, t, k, copy=2) for t, k in self.conflicting]

    def write_enhanced(self, folder: Path) -> Path:
        """One multi-frame object, its frames in no order."""
        folder.mkdir(parents=True, exist_ok=True)
        at = [(t, k) for t in range(len(self.times_s)) for k in range(self.times_s.shape[1])]
        shuffled = [at[n] for n in np.random.default_rng(3).permutation(len(at))]
        dataset = self._common(EnhancedCTImageStorage, "enhanced")
        dataset.SharedFunctionalGroupsSequence = [_shared_groups(dataset)]
        dataset.PerFrameFunctionalGroupsSequence = [self._frame_groups(t, k) for t, k in shuffled]
        dataset.NumberOfFrames = len(shuffled)
        pixels = np.stack([self._stored(t, k) for t, k in shuffled])
        path = folder / "enhanced.dcm"
        save_with_pixels(dataset, pixels, path, self.transfer_syntax)
        return path

    def _write(self, folder: Path, t: int, k: int, copy: int = 0) -> Path:
        name = f"{t}.{k}.{copy}"
        dataset = self._common(CTImageStorage, name)
        dataset.InstanceNumber = 1000 - t * self.times_s.shape[1] - k + 2000 * copy
        dataset.ImagePositionPatient = self._position(k)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        self.stamp(dataset, t, float(self.times_s[t, k]))
        for keyword, value in self.overrides.items():
            setattr(dataset, keyword, value)
        path = folder / f"{generate_uid(entropy_srcs=['file', self.seed, name])[-12:]}.dcm"
        pixels = self._stored(t, k) + np.int16(7 if copy == 2 else 0)
        save_with_pixels(dataset, pixels, path, self.transfer_syntax)
        return path

    def _stored(self, t: int, k: int) -> NDArray[np.int16]:
        values = expected_hu(float(self.times_s[t, k]), k, *self.size)
        return np.round((values + 1024) / self.slope).astype(np.int16)

    def _position(self, k: int) -> list[float]:
        return [-80.0, -80.0 + self.tilt_mm * k, STEP_MM * (k + self.first_k)]

    def _frame_groups(self, t: int, k: int) -> Dataset:
        position, content, group = Dataset(), Dataset(), Dataset()
        moment = START + timedelta(seconds=float(self.times_s[t, k]))
        position.ImagePositionPatient = self._position(k)
        content.FrameReferenceDateTime = f"{_date(moment)}{_time(moment)}"
        content.StackID, content.InStackPositionNumber = "1", k + 1
        content.TemporalPositionIndex = t + 1
        group.PlanePositionSequence, group.FrameContentSequence = [position], [content]
        return group

    def _common(self, sop_class: str, name: str) -> Dataset:
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.SOPClassUID = sop_class
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance", self.seed, name])
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", self.study_seed])
        dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", self.seed])
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["frame", self.study_seed])
        dataset.PatientName, dataset.PatientID = "Phantom^Synthetic", "SYN"
        dataset.PatientBirthDate, dataset.PatientSex, dataset.PatientAge = "19550312", "O", "068Y"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240115", "101112", "1"
        dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
        dataset.SeriesNumber, dataset.SeriesDescription = self.series_number, "PERFUSION 5.0"
        dataset.Modality, dataset.Manufacturer = "CT", "Synthetic"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.BodyPartExamined, dataset.ConvolutionKernel, dataset.KVP = "HEAD", "STANDARD", 80.0
        dataset.ContrastBolusAgent = "IOHEXOL"
        dataset.PositionReferenceIndicator = ""
        dataset.SliceThickness, dataset.PixelSpacing = STEP_MM, [PIXEL_MM, PIXEL_MM]
        dataset.Rows, dataset.Columns = self.size
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = self.slope, -1024.0
        dataset.RescaleType = "HU"
        return dataset


def at_once(time_points: int = 12, slices: int = 4, step_s: float = 2.0) -> NDArray[np.float64]:
    """All slices of a time point at the same moment."""
    return np.repeat(np.arange(time_points) * step_s, slices).reshape(time_points, slices)


def in_turn(time_points: int = 12, slices: int = 4, step_s: float = 3.0) -> NDArray[np.float64]:
    """A shuttle: the upper half of the slices comes half a step after the lower one."""
    later = np.where(np.arange(slices) < slices // 2, 0.0, step_s / 2)
    return at_once(time_points, slices, step_s) + later


def write_map(
    folder: Path,
    values: Sequence[NDArray[np.float64]],
    *,
    description: str = "",
    image_type: Sequence[str] = ("DERIVED", "SECONDARY", "AXIAL"),
    rescale_type: str | None = None,
    slope: float = 0.1,
    seed: str = "map",
    overrides: Mapping[str, Any] | None = None,
    **given: Any,
) -> list[Path]:
    """A derived series whose stored values times ``slope`` are ``values``, one array a slice."""
    shown = Ctp(at_once(1, len(values)), size=values[0].shape, seed=seed, **given)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, image in enumerate(values):
        dataset = shown._common(CTImageStorage, str(k))
        dataset.ImagePositionPatient = shown._position(k)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.ImageType, dataset.SeriesDescription = list(image_type), description
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, 0.0
        dataset.RescaleType = rescale_type or "US"
        for keyword, value in (overrides or {}).items():
            setattr(dataset, keyword, value)
        path = folder / f"{seed}-{k}.dcm"
        stored = np.round(image / slope).astype(np.int16)
        save_with_pixels(dataset, stored, path, ExplicitVRLittleEndian)
        paths.append(path)
    return paths


def _shared_groups(dataset: Dataset) -> Dataset:
    measures, rescale, orientation, shared = (Dataset() for _ in range(4))
    for item, keywords in (
        (measures, ("PixelSpacing", "SliceThickness")),
        (rescale, ("RescaleSlope", "RescaleIntercept", "RescaleType")),
    ):
        for keyword in keywords:
            setattr(item, keyword, getattr(dataset, keyword))
            delattr(dataset, keyword)
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    return shared


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%d")


def _time(moment: datetime) -> str:
    return moment.strftime("%H%M%S.%f")
