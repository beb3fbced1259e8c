"""Reads a clean CT series with a few lines of pydicom, independently of the service's reader.

For tests of what is written: they must not lean on the code that reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from willis_models.pipelines.base import InputImage
from willis_models.volume import SliceStack
from willis_service.adapters.dicom.series import DicomSeries


def plain_series(paths: Iterable[Path]) -> DicomSeries:
    """The series in these files: single slices, or one enhanced multi-frame object."""
    datasets = [dcmread(path) for path in paths]
    if "PerFrameFunctionalGroupsSequence" in datasets[0]:
        return _enhanced(datasets[0])
    return _single_frames(datasets)


def _single_frames(datasets: list[Dataset]) -> DicomSeries:
    first = datasets[0]
    positions = np.array([d.ImagePositionPatient for d in datasets], float)
    stack, order = _stack(
        np.stack([_hu(d.pixel_array, d) for d in datasets]),
        positions,
        np.array(first.ImageOrientationPatient, float),
        np.array(first.PixelSpacing, float),
    )
    headers = tuple(_without_pixels(datasets[i]) for i in order)
    return DicomSeries(InputImage(stack), headers)


def _enhanced(dataset: Dataset) -> DicomSeries:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = dataset.PerFrameFunctionalGroupsSequence
    positions = np.array([f.PlanePositionSequence[0].ImagePositionPatient for f in frames], float)
    stack, order = _stack(
        _hu(dataset.pixel_array, shared.PixelValueTransformationSequence[0]),
        positions,
        np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float),
        np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float),
    )
    numbers = tuple(int(i) + 1 for i in order)
    return DicomSeries(InputImage(stack), (_without_pixels(dataset),), numbers)


def _stack(
    voxels: np.ndarray, positions: np.ndarray, cosines: np.ndarray, spacing: np.ndarray
) -> tuple[SliceStack, np.ndarray]:
    row, column = cosines[:3], cosines[3:]
    order = np.argsort(positions @ np.cross(row, column))
    return SliceStack(voxels[order], positions[order], row * spacing[1], column * spacing[0]), order


def _hu(pixels: np.ndarray, rescale: Dataset) -> np.ndarray:
    slope, intercept = float(rescale.RescaleSlope), float(rescale.RescaleIntercept)
    return (pixels * slope + intercept).astype(np.float32)


def _without_pixels(dataset: Dataset) -> Dataset:
    del dataset.PixelData
    return dataset
