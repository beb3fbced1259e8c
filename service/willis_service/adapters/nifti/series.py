"""NIfTI images in time, and perfusion maps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import MAP_UNITS
from willis_models.errors import DecodingError, UnsuitableSeries
from willis_models.findings import QualityItem
from willis_models.pipelines.base import Acquisition, InputImage
from willis_models.volume import DynamicStack
from willis_service.adapters.nifti.frame_times import frame_times_s
from willis_service.adapters.nifti.reader import (
    AIR_HU,
    MALFORMED,
    Axes,
    affine_lps_of,
    decoded,
    open_image,
    stack_axes,
    stack_of,
)

Array = NDArray[Any]

MOST_BYTES = 2_500_000_000
"""Larger images in time are refused: results must lie on the file's own grid, so none is binned."""
# Half of the tissue can't be as late as this: such numbers are milliseconds.
_LATEST_S = 100.0
_INT16 = np.iinfo(np.int16)
_AGE_UNKNOWN = QualityItem(
    code="PATIENT_AGE_UNKNOWN",
    outcome="warn",
    message="A NIfTI file doesn't say how old the patient is; the analysis is meant for adults.",
)


def is_in_time(path: Path) -> bool:
    """Whether a NIfTI file holds more than one frame. Raises DecodingError."""
    try:
        open_image(path, 4)
    except UnsuitableSeries:
        return False
    return True


def read_nifti_dynamic(
    path: Path, sidecar: Path | None = None, given_s: Sequence[float] = ()
) -> InputImage:
    """Read a four-dimensional CT in HU; ``stack`` is its mean over time.

    Raises DecodingError, UnsuitableSeries (also where no times are stated), GeometryError.
    """
    image = open_image(path, 4)
    *_, count = image.shape[:4]
    times_s = frame_times_s(image, count, sidecar, given_s)
    if int(np.prod(image.shape[:4])) * np.dtype(np.int16).itemsize > MOST_BYTES:
        raise UnsuitableSeries("The image in time is larger than can be held in memory.")
    affine_lps = affine_lps_of(image)
    axes = stack_axes(affine_lps)
    frames = _frames(image, count, axes)
    still = stack_of(np.zeros(image.shape[:3], np.int16), affine_lps, axes)
    every = np.repeat((times_s - times_s[0])[:, None], frames.shape[1], axis=1)
    dynamic = DynamicStack.like(still, frames, every)
    acquisition = Acquisition(modality="CT", source_items=(_AGE_UNKNOWN,))
    return InputImage(dynamic.mean, acquisition, dynamic)


def read_nifti_map(path: Path, key: str) -> InputImage:
    """Read a perfusion map, float32. The file states no unit: it is that of the ISLES'24 data.

    Raises DecodingError, GeometryError, and UnsuitableSeries for values that can't be in that unit.
    """
    image = open_image(path)
    affine_lps = affine_lps_of(image)
    values = decoded(image).astype(np.float32)
    stack = stack_of(values, affine_lps, stack_axes(affine_lps))
    unit = MAP_UNITS[key]
    _check_unit(values, key, unit)
    item = QualityItem(
        code="MAP_UNIT_ASSUMED",
        outcome="warn",
        message=f"A NIfTI file doesn't state the unit of its values; the {key} map is taken to "
        f"be in {unit}.",
    )
    acquisition = Acquisition(modality="CT", source_items=(_AGE_UNKNOWN, item))
    return InputImage(stack, acquisition, unit=unit)


def _check_unit(values: Array, key: str, unit: str) -> None:
    """A file in milliseconds would make all of the brain late."""
    inside = values[np.isfinite(values) & (values > 0)]
    if unit == "s" and inside.size and float(np.median(inside)) > _LATEST_S:
        raise UnsuitableSeries(
            f"Half of the values of the {key} map are above {_LATEST_S:.0f}; they can't be in "
            "seconds: divide by 1000 if they are milliseconds, and send it again."
        )


def _frames(image: Any, count: int, axes: Axes) -> Array:
    """(t, z, y, x) int16 in the order of the stack; what is no number, or below air, is air."""
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    try:
        stored = image.dataobj.get_unscaled().reshape(image.shape[:4])
    except MALFORMED as error:
        raise DecodingError("The NIfTI file ends before its image does.") from error
    shape = tuple(image.shape[axis] for axis in axes.order)
    frames = np.empty((count, *shape), np.int16)
    for t in range(count):
        values = stored[..., t].astype(np.float32) * np.float32(slope) + np.float32(intercept)
        values[~(values >= AIR_HU)] = AIR_HU
        ordered = np.clip(np.rint(values), AIR_HU, _INT16.max).transpose(axes.order)
        frames[t] = ordered[::-1] if axes.flip else ordered
    return frames
