"""The studies that are measured: a real one, and 160 thin slices as modern scanners send them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom import dcmread

from benchmarks.places import Places
from willis_models.volume import SliceStack
from willis_service.adapters.dicom.reader import read_series
from willis_training.aspects import demo_study
from willis_training.simulation.dicom_series import StudyLabel, write_dicom_series
from willis_training.simulation.scanner import Scanner

SLICES = 160
THIN = replace(demo_study.SCANNER, thickness_mm=0.95, tilt_deg=0.0, noise_hu=5.0)
_STUDY = StudyLabel("benchmark", "SIMULATED thin slices", "Head thin", "20260105", "081500")


def dicom_files(folder: Path) -> list[Path]:
    """The files of a study."""
    return sorted(folder.glob("*.dcm"))


def thin_study(places: Places) -> list[Path]:
    """160 uncompressed slices of 512 x 512, made once."""
    folder = places.work / "thin"
    files = dicom_files(folder)
    if len(files) == SLICES:
        return files
    stack, scanner = _thin_stack(places)
    making = places.work / "thin.making"
    shutil.rmtree(making, ignore_errors=True)
    write_dicom_series(stack, scanner, demo_study.SUBJECT, _STUDY, making)
    for path in dicom_files(making):
        _decompress(path)
    shutil.rmtree(folder, ignore_errors=True)
    making.rename(folder)
    return dicom_files(folder)


def many_images(source: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """``count`` different images of the source's size, made anew: one study of unknown slices."""
    folder.mkdir(parents=True, exist_ok=True)
    study = StudyLabel(folder.name, "", "", "", "")
    paths = []
    for number in range(count):
        dataset = dcmread(source[number % len(source)])
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
            study.uid("study"),
            study.uid("series"),
        )
        dataset.SOPInstanceUID = study.uid("image", number)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        paths.append(folder / f"{number:04d}.dcm")
        dataset.save_as(paths[-1])
    return paths


def _thin_stack(places: Places) -> tuple[SliceStack, Scanner]:
    if places.has_heads:
        stack = demo_study.simulate_demo(places.cache, THIN).stack
        first = max(stack.shape[0] - SLICES, 0)
        return _cut(stack, first), THIN
    coarse = read_series(dicom_files(places.demo_study)).image.stack
    return _interpolated(coarse), replace(demo_study.SCANNER, thickness_mm=1.0)


def _cut(stack: SliceStack, first: int) -> SliceStack:
    """The topmost slices: what is cut off lies below the brain."""
    return replace(stack, voxels=stack.voxels[first:], origins_lps=stack.origins_lps[first:])


def _interpolated(stack: SliceStack) -> SliceStack:
    """160 slices between those of a stack, where no heads are prepared: timing needs no truth."""
    where = np.linspace(0, stack.shape[0] - 1, SLICES)
    low = np.minimum(where.astype(int), stack.shape[0] - 2)
    share = (where - low)[:, None]
    origins = stack.origins_lps[low] * (1 - share) + stack.origins_lps[low + 1] * share
    voxels = np.stack(
        [
            np.rint(stack.voxels[k] * (1 - s[0]) + stack.voxels[k + 1] * s[0]).astype(np.int16)
            for k, s in zip(low, share, strict=True)
        ]
    )
    return replace(stack, voxels=voxels, origins_lps=origins)


def _decompress(path: Path) -> None:
    dataset = dcmread(path)
    dataset.decompress(generate_instance_uid=False)
    dataset.save_as(path)
