"""One plain axial CT series in a folder, read without the service's reader.

For judging models on known samples. It takes single-frame files of one series whose pixels pydicom
decodes; the many odd ways of scanners are the business of the service's reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from willis_models.errors import MixedOrientations, NoSuitableSeries
from willis_models.imaging.resample import AIR_HU
from willis_models.pipelines.base import Acquisition, InputImage
from willis_models.volume import Floats, SliceStack

SAME_COSINES = 1e-4


def read_axial_ct(folder: Path) -> InputImage:
    """The series in ``folder`` in HU, slices by position, what lies below air set to air.

    Raises NoSuitableSeries where there is none, MixedOrientations where planes aren't parallel.
    """
    datasets = [dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    if not datasets or len({d.SeriesInstanceUID for d in datasets}) > 1:
        raise NoSuitableSeries(f"{folder} does not hold the .dcm files of exactly one series.")
    return InputImage(_stack(datasets), _acquisition(datasets[0]))


def _stack(datasets: Sequence[Dataset]) -> SliceStack:
    cosines = np.array([d.ImageOrientationPatient for d in datasets], dtype=np.float64)
    if np.ptp(cosines, axis=0).max() > SAME_COSINES:
        raise MixedOrientations("The images of the series don't share one orientation.")
    row, column = cosines[0, :3], cosines[0, 3:]
    origins: Floats = np.array([d.ImagePositionPatient for d in datasets], dtype=np.float64)
    order = np.argsort(origins @ np.cross(row, column))
    between_rows, between_columns = (float(mm) for mm in datasets[0].PixelSpacing)
    voxels = np.stack([_hu(datasets[n]) for n in order])
    return SliceStack(voxels, origins[order], row * between_columns, column * between_rows)


def _hu(dataset: Dataset) -> NDArray[np.float32]:
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    hu = dataset.pixel_array * slope + intercept
    return np.maximum(hu, AIR_HU).astype(np.float32)


def _acquisition(dataset: Dataset) -> Acquisition:
    return Acquisition(
        modality=dataset.Modality,
        kvp=_number(dataset, "KVP"),
        slice_thickness_mm=_number(dataset, "SliceThickness"),
    )


def _number(dataset: Dataset, keyword: str) -> float | None:
    value = dataset.get(keyword)
    return None if value in (None, "") else float(value)
