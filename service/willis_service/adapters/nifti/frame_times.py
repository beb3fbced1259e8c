"""When the frames of a NIfTI image in time were taken: as given, by its sidecar, by its header."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import UnsuitableSeries

Floats = NDArray[np.float64]

# NIfTI-1, field xyzt_units. Nothing stated means seconds in practice, where that is plausible.
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_PLAUSIBLE_S = (0.1, 10.0)


def frame_times_s(
    image: Any, frames: int, sidecar: Path | None, given_s: Sequence[float]
) -> Floats:
    """The time of each frame in seconds.

    Raises UnsuitableSeries where none is stated, or fewer or more than there are frames.
    """
    times = tuple(given_s) or _of_sidecar(sidecar, frames) or _of_header(image, frames)
    if times is None:
        raise UnsuitableSeries(
            "The image doesn't say when its frames were taken: give frame_times_s, or a sidecar "
            "with VolumeTiming, FrameTimesStart or RepetitionTime, in seconds."
        )
    if len(times) != frames:
        raise UnsuitableSeries(f"{len(times)} times are given for {frames} frames.")
    times_s = np.array(times, np.float64)
    if not np.isfinite(times_s).all() or (np.diff(times_s) <= 0).any():
        raise UnsuitableSeries("The times of the frames don't rise from frame to frame.")
    return times_s


def _of_sidecar(path: Path | None, frames: int) -> tuple[float, ...] | None:
    """BIDS: VolumeTiming or FrameTimesStart for each frame, RepetitionTime between two."""
    if path is None:
        return None
    try:
        stated = json.loads(path.read_bytes())
    except ValueError as error:
        raise UnsuitableSeries("The sidecar of the image is not valid JSON.") from error
    if not isinstance(stated, dict):
        return None
    for name in ("VolumeTiming", "FrameTimesStart"):
        listed = stated.get(name)
        if isinstance(listed, list) and all(isinstance(one, int | float) for one in listed):
            return tuple(float(one) for one in listed)
    step_s = stated.get("RepetitionTime")
    if isinstance(step_s, int | float) and step_s > 0:
        return tuple(n * float(step_s) for n in range(frames))
    return None


def _of_header(image: Any, frames: int) -> tuple[float, ...] | None:
    step = float(image.header["pixdim"][4])
    unit = image.header.get_xyzt_units()[1]
    if not math.isfinite(step) or step <= 0:
        return None
    step_s = step * _SECONDS.get(unit, 1.0)
    low_s, high_s = _PLAUSIBLE_S
    return tuple(n * step_s for n in range(frames)) if low_s <= step_s <= high_s else None
