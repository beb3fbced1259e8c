"""The block phantom's perfusion scan as one enhanced DICOM object, its lesion on the left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tests.synthetic_ctp import Ctp
from tests.unit.models.perfusion.block_phantom import Phantom, frame_times, make_phantom

PIXELS, SLICE_MM = 96, 10.0


@dataclass(frozen=True)
class _PhantomScan(Ctp):
    phantom: Phantom | None = None

    def _stored(self, t: int, k: int) -> NDArray[np.int16]:
        assert self.phantom is not None
        return np.asarray(self.phantom.dynamic.frames[t, k] + np.int16(1024))

    def _position(self, k: int) -> list[float]:
        assert self.phantom is not None
        return [float(mm) for mm in self.phantom.dynamic.origins_lps[k]]

    def _common(self, sop_class: str, name: str) -> Dataset:
        assert self.phantom is not None
        dataset = super()._common(sop_class, name)
        pixel_mm = float(self.phantom.dynamic.row_step_lps[0])
        dataset.PixelSpacing, dataset.SliceThickness = [pixel_mm, pixel_mm], SLICE_MM
        return dataset


def make_scan(seconds: float = 66.0, step_s: float = 1.5) -> Phantom:
    """Six slices, from 10 s before the bolus."""
    return make_phantom(frame_times(step_s, seconds, 6), pixels=PIXELS, step_mm=SLICE_MM)


def write_scan(phantom: Phantom, folder: Path) -> Path:
    """The scan as one multi-frame object."""
    scan = _PhantomScan(phantom.dynamic.times_s, size=(PIXELS, PIXELS), phantom=phantom)
    return scan.write_enhanced(folder)
