"""A NIfTI image in any orientation as a slice stack, and results back on its own grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from willis_models.errors import DecodingError, GeometryError, UnsuitableSeries
from willis_models.findings import QualityItem
from willis_models.pipelines.base import Acquisition, InputImage
from willis_models.volume import SliceStack, Volume

Array = NDArray[Any]
Floats = NDArray[np.float64]

AIR_HU = -1024
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CODES_AGREE = 1e-2
_SHEARED_COSINE = 0.7
# Air around a head: without any, the values are hardly Hounsfield units.
_AIR_BELOW_HU = -500
MALFORMED = (ImageFileError, HeaderDataError, OSError, EOFError, ValueError)


@dataclass(frozen=True)
class Axes:
    """How the file's axes become a stack's: ``order`` for transposing, then ``flip`` along z."""

    order: tuple[int, int, int]
    flip: bool


def read_nifti(path: Path) -> InputImage:
    """Read a head CT in HU. The slice axis is the one closest to superior-inferior.

    Raises DecodingError where it is no NIfTI file, UnsuitableSeries where it has more than three
    dimensions, GeometryError where it does not say which side is left.
    """
    image = open_image(path)
    affine_lps = affine_lps_of(image)
    axes = stack_axes(affine_lps)
    voxels, padded = _hounsfield(decoded(image))
    stack = stack_of(voxels, affine_lps, axes)
    return InputImage(stack, Acquisition(modality="CT", source_items=_quality(voxels, padded)))


def write_like(path: Path, values: Array, source: Path) -> None:
    """Write values of the stack read from ``source`` as NIfTI on the source's own grid.

    ``values`` (z, y, x), or (n, z, y, x) for several volumes; labels as uint8, maps as float32.
    Raises GeometryError where they don't fit that grid.
    """
    image: Any = nib.load(source, mmap=False)
    axes = stack_axes(affine_lps_of(image))
    volumes = [_restored(volume, axes) for volume in values.reshape(-1, *values.shape[-3:])]
    if volumes[0].shape != image.shape[:3]:
        raise GeometryError(f"Values of {values.shape} don't fit the image {image.shape[:3]}.")
    header = nib.Nifti1Header()
    header.set_data_dtype(values.dtype)
    header.set_xyzt_units("mm")
    stored = volumes[0] if values.ndim == 3 else np.stack(volumes, axis=-1)
    written = nib.Nifti1Image(np.ascontiguousarray(stored), image.affine, header)
    written.set_sform(image.affine, code=1)
    written.set_qform(image.affine, code=1, strip_shears=True)
    nib.save(written, path)


def _restored(volume: Array, axes: Axes) -> Array:
    """A volume of the stack in the order of the file's axes."""
    in_stack_order = volume[::-1] if axes.flip else volume
    return in_stack_order.transpose(np.argsort(axes.order))


def open_image(path: Path, dimensions: int = 3) -> Any:
    """The image with its data still on disk, checked for three dimensions, or four.

    Raises DecodingError, UnsuitableSeries.
    """
    try:
        # Not memory-mapped: a file that shrinks while it is read would kill the process.
        image = nib.load(path, mmap=False)
    except FileNotFoundError:
        raise
    except MALFORMED as error:
        raise DecodingError("The file is not a readable NIfTI file.") from error
    if not isinstance(image, nib.Nifti1Image):
        raise DecodingError("The file is an image, but not a NIfTI file.")
    if len(image.shape) < dimensions or any(size != 1 for size in image.shape[dimensions:]):
        names = {3: "one three-dimensional image", 4: "an image in time, with four dimensions,"}
        raise UnsuitableSeries(
            f"The NIfTI image has {_times(image.shape)} values; {names[dimensions]} is expected."
        )
    if image.get_data_dtype().fields is not None:
        raise UnsuitableSeries("The NIfTI image is in colour; it holds no measured density.")
    return image


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape)


def decoded(image: Any) -> Array:
    """The values with the file's scaling applied, three-dimensional."""
    is_plain = image.dataobj.slope == 1 and image.dataobj.inter == 0
    try:
        if is_plain and np.issubdtype(image.get_data_dtype(), np.integer):
            values = np.asarray(image.dataobj)
        else:
            values = np.asarray(image.get_fdata(caching="unchanged", dtype=np.float32))
    except MALFORMED as error:
        raise DecodingError("The NIfTI file ends before its image does.") from error
    return np.asarray(values.reshape(image.shape[:3]))


def affine_lps_of(image: Any) -> Floats:
    """From the file's (i, j, k) to LPS mm; refused where the file leaves left and right open."""
    sform, s_code = image.header.get_sform(coded=True)
    qform, q_code = image.header.get_qform(coded=True)
    if not s_code and not q_code:
        raise GeometryError(
            "The NIfTI file has neither sform nor qform: left and right can't be told apart."
        )
    if s_code and q_code and not _same_orientation(sform, qform):
        raise GeometryError("The NIfTI file's sform and qform disagree about its orientation.")
    affine = np.asarray(_RAS_TO_LPS @ image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or not np.linalg.norm(affine[:3, :3], axis=0).all():
        raise GeometryError("The NIfTI image's affine is degenerate.")
    return affine


def _same_orientation(one: Floats, other: Floats) -> bool:
    """Whether two affines share their axes' directions (a shear, which qform can't hold, aside)."""
    first, second = (_directions(affine) for affine in (one, other))
    is_sheared = abs(abs(np.linalg.det(first)) - 1) > _CODES_AGREE
    least = _SHEARED_COSINE if is_sheared else 1 - _CODES_AGREE
    return bool(((first * second).sum(axis=0) > least).all())


def _directions(affine: Floats) -> Floats:
    """The unit vectors of an affine's axes, as columns."""
    return np.asarray(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))


def stack_axes(affine_lps: Floats) -> Axes:
    """z the axis closest to superior-inferior, x the one closest to left-right, y the third."""
    directions = np.abs(_directions(affine_lps))
    z = int(directions[2].argmax())
    x = max((axis for axis in range(3) if axis != z), key=lambda axis: float(directions[0, axis]))
    order = (z, 3 - z - x, x)
    slice_step, column_step, row_step = (affine_lps[:3, axis] for axis in order)
    flip = float(np.cross(row_step, column_step) @ slice_step) < 0
    return Axes(order, flip)


def stack_of(voxels: Array, affine_lps: Floats, axes: Axes) -> SliceStack:
    """Voxels in the order of the file's axes as a stack."""
    steps = affine_lps[:, [*axes.order, 3]]
    return SliceStack.from_volume(Volume(voxels.transpose(axes.order), steps))


def _hounsfield(values: Array) -> tuple[Array, int]:
    """int16 where exact, else float32; everything below air, and what is no number, set to air."""
    outside = ~(values >= AIR_HU)
    whole = np.issubdtype(values.dtype, np.integer) or bool(
        (np.where(outside, 0, values) % 1 == 0).all()
    )
    filled = np.where(outside, values.dtype.type(0), values)
    fits = whole and filled.max(initial=0) <= np.iinfo(np.int16).max
    stored = filled.astype(np.int16 if fits else np.float32)
    stored[outside] = AIR_HU
    return stored, int(np.count_nonzero(outside))


def _quality(voxels: Array, padded: int) -> tuple[QualityItem, ...]:
    items = [
        QualityItem(
            code="PATIENT_AGE_UNKNOWN",
            outcome="warn",
            message="A NIfTI file doesn't say how old the patient is; "
            "the analysis is meant for adults.",
        )
    ]
    if padded:
        percent = 100 * padded / voxels.size
        items.append(
            QualityItem(
                code="PADDING_REPLACED",
                outcome="pass",
                message=f"{percent:.1f}% of the voxels lie below -1024 HU and count as air.",
                value=round(percent, 2),
                unit="%",
            )
        )
    if voxels.min() > _AIR_BELOW_HU:
        items.append(
            QualityItem(
                code="HU_NOT_EVIDENT",
                outcome="warn",
                message="No voxel is as dark as air: the values may not be Hounsfield units.",
            )
        )
    return tuple(items)
