"""Writes a simulated perfusion study as DICOM: the dynamic series, and the series beside it.

One lossless CT image a slice and time point. Everything in the files follows from the study, the
subject and a name; the same three give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_models.volume import SliceStack
from willis_training.simulation.ctp.perfusion import SimulatedPerfusion
from willis_training.simulation.dicom_series import (
    PADDING_HU,
    StudyLabel,
    Subject,
    decimal,
    image_header,
    put_pixels,
    round_field,
)

_CTP_KVP, _CTP_MAS = 80, 150
_MAP_SLOPES = {"CBF": 0.1, "CBV": 0.01, "MTT": 0.01, "Tmax": 0.01}
_MAP_UNITS = {"CBF": "ml/100g/min", "CBV": "ml/100g", "MTT": "s", "Tmax": "s"}
_MAP_NAMES = {
    "CBF": "Cerebral blood flow",
    "CBV": "Cerebral blood volume",
    "MTT": "Mean transit time",
    "Tmax": "Time to maximum",
}


@dataclass(frozen=True)
class StudyParts:
    """What is written beside the dynamic series, and how its time points are told apart.

    ``temporal_positions``: TemporalPositionIdentifier and NumberOfTemporalPositions; without them
    only AcquisitionNumber and the times say which time point an image is of, as many scanners do.
    """

    ncct: bool = True
    cta: bool = True
    maps: bool = False
    temporal_positions: bool = True


def write_study(
    study: SimulatedPerfusion,
    subject: Subject,
    label: StudyLabel,
    folder: Path,
    parts: StudyParts | None = None,
) -> dict[str, list[Path]]:
    """Write the series into folders of their own under ``folder``; returns the files of each."""
    parts = parts or StudyParts()
    writer = _Writer(study, subject, label, folder)
    files = {}
    if parts.ncct:
        files["ncct"] = writer.still("ncct", 2, "Head 5 mm without contrast", study.ncct, 0.0)
    if parts.cta and study.cta is not None:
        files["cta"] = writer.still("cta", 3, "CTA HEAD", study.cta, 120.0)
    files["ctp"] = writer.dynamic(4, "CT PERFUSION HEAD", 240.0, parts.temporal_positions)
    if parts.maps:
        for number, (name, values) in enumerate(_true_maps(study), start=10):
            files[name.lower()] = writer.map(name, number, values, 600.0)
    return files


def _true_maps(study: SimulatedPerfusion) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Maps as a perfusion program would send them, here without its errors."""
    truth = study.truth
    yield from (("CBF", truth.cbf), ("CBV", truth.cbv), ("MTT", truth.mtt), ("Tmax", truth.delay_s))


@dataclass(frozen=True)
class _Writer:
    study: SimulatedPerfusion
    subject: Subject
    label: StudyLabel
    folder: Path

    def still(
        self, name: str, number: int, description: str, stack: SliceStack, after_s: float
    ) -> list[Path]:
        """One image a slice."""
        paths = []
        for k, voxels in enumerate(stack.voxels):
            dataset = self._dataset(name, number, description, stack, k, after_s)
            if name == "cta":
                _describe_contrast(dataset)
            paths.append(self._save(dataset, voxels, name, k + 1))
        return paths

    def dynamic(
        self, number: int, description: str, after_s: float, temporal_positions: bool
    ) -> list[Path]:
        """One image a slice and time point, in the order of the scan."""
        dynamic = self.study.dynamic
        still = dynamic.still(dynamic.frames[0])
        times = len(dynamic.frames)
        paths = []
        for t in range(times):
            for k in range(still.shape[0]):
                at = after_s + float(dynamic.times_s[t, k])
                dataset = self._dataset("ctp", number, description, still, k, at, t)
                dataset.AcquisitionNumber = t + 1
                dataset.InstanceNumber = t * still.shape[0] + k + 1
                dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "DYNAMIC"]
                dataset.KVP, dataset.Exposure = _CTP_KVP, _CTP_MAS
                if temporal_positions:
                    dataset.TemporalPositionIdentifier = t + 1
                    dataset.NumberOfTemporalPositions = times
                _describe_contrast(dataset)
                paths.append(
                    self._save(dataset, dynamic.frames[t, k], "ctp", dataset.InstanceNumber)
                )
        return paths

    def map(
        self, name: str, number: int, values: NDArray[np.float32], after_s: float
    ) -> list[Path]:
        """One derived image a slice, with the map's rescale slope."""
        dynamic = self.study.dynamic
        stack = dynamic.still(values)
        slope = _MAP_SLOPES[name]
        paths = []
        for k in range(stack.shape[0]):
            dataset = self._dataset(name, number, _MAP_NAMES[name], stack, k, after_s)
            dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL", name.upper()]
            dataset.SeriesDescription = f"{name} ({_MAP_NAMES[name]})"
            dataset.RescaleSlope, dataset.RescaleType = decimal(slope), _MAP_UNITS[name]
            dataset.DerivationDescription = f"{_MAP_NAMES[name]} of the simulated truth"
            stored = np.rint(values[k] / slope).astype(np.int16)
            paths.append(self._save(dataset, stored, name.lower(), k + 1))
        return paths

    def _dataset(
        self,
        name: str,
        number: int,
        description: str,
        stack: SliceStack,
        k: int,
        after_s: float,
        time_point: int = 0,
    ) -> Dataset:
        """The header of one image of one series, ``after_s`` seconds into the study."""
        scanner = self.study.protocol.scanner
        dataset = image_header(stack, k, scanner, self.subject, self.label)
        dataset.SeriesInstanceUID = self.label.uid("series", name)
        dataset.SOPInstanceUID = self.label.uid("image", name, time_point, k)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.SeriesNumber, dataset.SeriesDescription = number, description
        clock = _clock(self.label.time, after_s)
        dataset.AcquisitionTime = dataset.ContentTime = clock
        dataset.SeriesTime = _clock(self.label.time, 60.0 * number)
        return dataset

    def _save(self, dataset: Dataset, voxels: NDArray[np.int16], name: str, number: int) -> Path:
        outside = ~round_field(*voxels.shape)
        padding = 0 if name.upper() in {key.upper() for key in _MAP_SLOPES} else PADDING_HU
        put_pixels(dataset, np.where(outside, padding, voxels).astype(np.int16))
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:05d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path


def _describe_contrast(dataset: Dataset) -> None:
    dataset.ContrastBolusAgent = "Simulated iodine"
    dataset.ContrastBolusVolume = 40
    dataset.ContrastFlowRate = 6
    dataset.ProtocolName = "Head with contrast agent"


def _clock(start: str, after_s: float) -> str:
    """A DICOM time (HHMMSS.FFF) so many seconds after another of the same day."""
    hours, minutes, seconds = int(start[:2]), int(start[2:4]), int(start[4:6])
    total_ms = round(1000 * (3600 * hours + 60 * minutes + seconds + after_s))
    rest, ms = divmod(total_ms, 1000)
    return f"{rest // 3600:02d}{rest // 60 % 60:02d}{rest % 60:02d}.{ms:03d}"
