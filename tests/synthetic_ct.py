"""Writes synthetic head CT series as DICOM, in all the odd ways in which scanners write them.

The head is one object in world coordinates (LPS mm, centre at 0), sampled wherever the slices lie;
so tilted, oblique and uneven series show the same head, and a test knows what lies where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLossless,
    JPEGLosslessSV1,
    generate_uid,
)

Array = NDArray[Any]
Floats = NDArray[np.float64]
Hu = NDArray[np.int16]

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
MARKER_LPS_MM = (38.0, 12.0, 14.0)
"""Centre of the optional dense sphere: patient left, posterior, superior of the head's centre."""
MARKER_HU = 80

_NATIVE = {
    ImplicitVRLittleEndian: (True, True),
    ExplicitVRLittleEndian: (False, True),
    DeflatedExplicitVRLittleEndian: (False, True),
    ExplicitVRBigEndian: (False, False),
}


@dataclass(frozen=True)
class StackGeometry:
    """Where the slices of a synthetic series lie: origins (z, 3), steps per column and per row."""

    origins_lps: Floats
    row_step_lps: Floats
    column_step_lps: Floats
    orientation: tuple[float, ...]

    def world(self, shape: tuple[int, int, int]) -> Floats:
        """The world position of every voxel, (z, y, x, 3)."""
        _, rows, columns = shape
        y, x = np.mgrid[:rows, :columns]
        plane = y[..., None] * self.column_step_lps + x[..., None] * self.row_step_lps
        return np.asarray(self.origins_lps[:, None, None] + plane)


def stack_geometry(
    shape: tuple[int, int, int],
    steps_mm: Sequence[float],
    pixel_mm: float,
    tilt_deg: float = 0.0,
    orientation: Sequence[float] = AXIAL,
) -> StackGeometry:
    """Slices centred on the world's origin.

    ``steps_mm`` are table feeds. Gantry tilt turns the slices about their rows while the table
    keeps moving along the untilted normal: as on a real scanner, the origins then drift in plane.
    """
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    table = np.cross(row, column)
    angle = np.radians(tilt_deg)
    tilted = np.cos(angle) * column - np.sin(angle) * table
    along = np.concatenate([[0.0], np.cumsum(np.asarray(steps_mm, float))])
    along -= along[-1] / 2
    centre = (shape[2] - 1) / 2 * pixel_mm * row + (shape[1] - 1) / 2 * pixel_mm * tilted
    origins = along[:, None] * table - centre
    return StackGeometry(origins, pixel_mm * row, pixel_mm * tilted, (*row, *tilted))


def head_hu(world_lps: Floats, *, marker: bool = False) -> Hu:
    """Attenuation of the synthetic head at world positions (..., 3): HU, int16."""
    hu = np.full(world_lps.shape[:-1], -1000, np.int16)
    for axes_mm, value in (((79, 97, 77), 40), ((75, 93, 73), 900), ((69, 87, 67), 10)):
        hu[_ellipsoid(world_lps, (0, 0, 0), axes_mm)] = value
    hu[_ellipsoid(world_lps, (0, 0, 0), (67, 85, 65))] = 36
    hu[_ellipsoid(world_lps, (0, 0, 0), (57, 74, 55))] = 28
    for side in (-1, 1):
        hu[_ellipsoid(world_lps, (side * 22, -5, 0), (9, 20, 12))] = 37
        hu[_ellipsoid(world_lps, (side * 9, -5, 14), (5, 28, 8))] = 8
    if marker:
        hu[_ellipsoid(world_lps, MARKER_LPS_MM, (9, 9, 9))] = MARKER_HU
    return hu


def _ellipsoid(world_lps: Floats, centre: Sequence[float], axes_mm: Sequence[float]) -> Array:
    scaled = (world_lps - np.asarray(centre, float)) / np.asarray(axes_mm, float)
    return np.asarray((scaled**2).sum(axis=-1) <= 1.0)


def write_ct_series(
    folder: Path,
    *,
    shape: tuple[int, int, int] = (28, 64, 64),
    hu: Hu | None = None,
    field_of_view_mm: float = 220.0,
    slice_step_mm: float = 5.0,
    steps_mm: Sequence[float] | None = None,
    tilt_deg: float = 0.0,
    orientation: Sequence[float] = AXIAL,
    marker: bool = False,
    noise_hu: float = 2.0,
    missing: Collection[int] = (),
    duplicated: Collection[int] = (),
    conflicting: Collection[int] = (),
    padding: int | None = None,
    declare_padding: bool = True,
    signed: bool = True,
    slope: float = 1.0,
    intercept: float = -1024.0,
    transfer_syntax: str = ExplicitVRLittleEndian,
    enhanced: bool = False,
    seed: str = "1",
    study_seed: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    edit: Callable[[int, Dataset], None] | None = None,
) -> list[Path]:
    """Write one head CT series and return its files, whose names say nothing about their order.

    By default a valid adult non-contrast head scan. ``hu`` replaces the head; ``padding`` is the
    value in HU outside the round field of view; ``overrides`` sets DICOM keywords on each file
    (None removes one) and ``edit`` changes the single dataset of slice k before it is written.
    ``missing``, ``duplicated`` (a second copy, same pixels) and ``conflicting`` (a second copy,
    other pixels) are slice numbers in stack order. Equal seeds give equal UIDs; ``study_seed``
    puts several series (of other seeds) into one study.
    """
    feeds = list(steps_mm) if steps_mm is not None else [slice_step_mm] * (shape[0] - 1)
    pixel_mm = field_of_view_mm / shape[2]
    geometry = stack_geometry(shape, feeds, pixel_mm, tilt_deg, orientation)
    values = head_hu(geometry.world(shape), marker=marker) if hu is None else hu.copy()
    if hu is None:
        values += _noise(shape, noise_hu, seed)
    if padding is not None:
        values[:, ~_round_field(shape)] = padding
    stored = np.round((values - intercept) / slope).astype(np.int16 if signed else np.uint16)
    common = _common(seed, study_seed or seed, shape, signed, pixel_mm, slice_step_mm)
    common.update(_rescale_and_tilt(slope, intercept, tilt_deg))
    if padding is not None and declare_padding:
        common["PixelPaddingValue"] = round((padding - intercept) / slope)
    common.update(overrides or {})
    series = _Series(folder, common, geometry, stored, seed, transfer_syntax, edit)
    folder.mkdir(parents=True, exist_ok=True)
    kept = [k for k in range(shape[0]) if k not in set(missing)]
    if enhanced:
        return [series.write_enhanced(kept)]
    twice = sorted({*duplicated, *conflicting})
    paths = [series.write_slice(k) for k in kept]
    return paths + [series.write_slice(k, copy=1, changed=k in conflicting) for k in twice]


def _noise(shape: tuple[int, int, int], noise_hu: float, seed: str) -> Hu:
    random = np.random.default_rng(list(seed.encode()))
    return np.round(random.normal(0.0, noise_hu, shape)).astype(np.int16)


def _round_field(shape: tuple[int, int, int]) -> Array:
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    return np.asarray(x**2 + y**2 <= 1.0)


def _common(
    seed: str,
    study_seed: str,
    shape: tuple[int, int, int],
    signed: bool,
    pixel_mm: float,
    thickness_mm: float,
) -> dict[str, Any]:
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": "Phantom^Synthetic",
        "PatientID": f"SYN-{study_seed}",
        "PatientBirthDate": "19550312",
        "PatientSex": "O",
        "PatientAge": "068Y",
        "StudyInstanceUID": generate_uid(entropy_srcs=["study", study_seed]),
        "SeriesInstanceUID": generate_uid(entropy_srcs=["series", seed, study_seed]),
        "FrameOfReferenceUID": generate_uid(entropy_srcs=["frame", study_seed]),
        "StudyID": "1",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "StudyDate": "20240115",
        "StudyTime": "101112",
        "SeriesDate": "20240115",
        "SeriesTime": "101200",
        "ContentDate": "20240115",
        "ContentTime": "101230",
        "AcquisitionNumber": 1,
        "SeriesNumber": 2,
        "SeriesDescription": "HEAD 5MM STD",
        "PositionReferenceIndicator": "",
        "Manufacturer": "Synthetic",
        "ManufacturerModelName": "Phantom CT",
        "SoftwareVersions": "1",
        "Modality": "CT",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "BodyPartExamined": "HEAD",
        "PatientPosition": "HFS",
        "KVP": 120.0,
        "ConvolutionKernel": "STANDARD",
        "SliceThickness": thickness_mm,
        "PixelSpacing": [round(pixel_mm, 8), round(pixel_mm, 8)],
        "Rows": shape[1],
        "Columns": shape[2],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": int(signed),
    }


def _rescale_and_tilt(slope: float, intercept: float, tilt_deg: float) -> dict[str, Any]:
    return {
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
        "RescaleType": "HU",
        "GantryDetectorTilt": tilt_deg,
    }


@dataclass(frozen=True)
class _Series:
    folder: Path
    common: dict[str, Any]
    geometry: StackGeometry
    stored: Array
    seed: str
    transfer_syntax: str
    edit: Callable[[int, Dataset], None] | None

    def write_slice(self, k: int, *, copy: int = 0, changed: bool = False) -> Path:
        dataset = self._dataset(CTImageStorage, f"{k}.{copy}")
        dataset.InstanceNumber = k + 1 + 1000 * copy
        dataset.ImagePositionPatient = _decimals(self.geometry.origins_lps[k])
        dataset.ImageOrientationPatient = _decimals(self.geometry.orientation)
        _apply(dataset, self.common)
        if self.edit is not None:
            self.edit(k, dataset)
        pixels = self.stored[k] + self.stored.dtype.type(5 if changed else 0)
        return self._save(dataset, pixels, f"{k}.{copy}")

    def write_enhanced(self, kept: Sequence[int]) -> Path:
        order = np.random.default_rng(7).permutation(list(kept))
        dataset = self._dataset(EnhancedCTImageStorage, "enhanced")
        _apply(dataset, self.common)
        shared, frames = _functional_groups(dataset, self.geometry, order)
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = frames
        dataset.NumberOfFrames = len(frames)
        if self.edit is not None:
            self.edit(0, dataset)
        return self._save(dataset, self.stored[order], "enhanced")

    def _dataset(self, sop_class: str, name: str) -> Dataset:
        dataset = Dataset()
        dataset.SOPClassUID = sop_class
        series = str(self.common.get("SeriesInstanceUID"))
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance", series, name])
        dataset.file_meta = FileMetaDataset()
        return dataset

    def _save(self, dataset: Dataset, pixels: Array, name: str) -> Path:
        path = self.folder / f"{generate_uid(entropy_srcs=['file', self.seed, name])[-12:]}.dcm"
        save_with_pixels(dataset, pixels, path, self.transfer_syntax)
        return path


def _apply(dataset: Dataset, values: Mapping[str, Any]) -> None:
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
        elif keyword in dataset:
            delattr(dataset, keyword)


def _decimals(values: Sequence[float] | Floats) -> list[str]:
    """Decimal strings of at most 16 characters."""
    return [f"{value:.9f}"[:16] for value in values]


def _functional_groups(
    dataset: Dataset, geometry: StackGeometry, order: Array
) -> tuple[Dataset, list[Dataset]]:
    """Move geometry and rescaling from the top level into the functional groups."""
    measures = _moved(dataset, "PixelSpacing", "SliceThickness")
    rescale = _moved(dataset, "RescaleSlope", "RescaleIntercept", "RescaleType")
    orientation = Dataset()
    orientation.ImageOrientationPatient = _decimals(geometry.orientation)
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelValueTransformationSequence = [rescale]
    return shared, [_frame_group(geometry, int(k), n) for n, k in enumerate(order, start=1)]


def _moved(dataset: Dataset, *keywords: str) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, dataset[keyword].value)
        delattr(dataset, keyword)
    return item


def _frame_group(geometry: StackGeometry, k: int, number: int) -> Dataset:
    position, content, group = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = _decimals(geometry.origins_lps[k])
    content.StackID = "1"
    content.InStackPositionNumber = k + 1
    content.DimensionIndexValues = [1, k + 1]
    content.TemporalPositionIndex = number
    group.PlanePositionSequence = [position]
    group.FrameContentSequence = [content]
    return group


def save_with_pixels(dataset: Dataset, pixels: Array, path: Path, transfer_syntax: str) -> None:
    """Write a dataset with these pixels in any transfer syntax for which there is an encoder."""
    implicit, little = _NATIVE.get(transfer_syntax, (False, True))
    native = transfer_syntax if transfer_syntax in _NATIVE else ExplicitVRLittleEndian
    ordered = pixels.astype(pixels.dtype.newbyteorder("<" if little else ">"))
    dataset.PixelData = ordered.tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = native
    if transfer_syntax in _NATIVE or transfer_syntax in (JPEGLossless, JPEGLosslessSV1):
        dataset.save_as(path, enforce_file_format=True, implicit_vr=implicit, little_endian=little)
    else:
        dataset.compress(transfer_syntax, generate_instance_uid=False)
        dataset.save_as(path, enforce_file_format=True)
    if transfer_syntax in (JPEGLossless, JPEGLosslessSV1):
        _to_jpeg_lossless(path, transfer_syntax)


def _to_jpeg_lossless(path: Path, transfer_syntax: str) -> None:
    """GDCM is the encoder for the JPEG Lossless processes; pydicom has none."""
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise RuntimeError(f"GDCM can't read {path}.")
    kinds = {JPEGLossless: "JPEGLosslessProcess14", JPEGLosslessSV1: "JPEGLosslessProcess14_1"}
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(
        gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kinds[transfer_syntax]))
    )
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM can't write {transfer_syntax}.")
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    if not writer.Write():
        raise RuntimeError(f"GDCM can't write {path}.")
