"""One dynamic DICOM series to frames in Hounsfield units, each slice with its own times."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import DuplicateSlices
from willis_models.findings import QualityItem
from willis_models.pipelines.base import InputImage
from willis_models.volume import DynamicStack
from willis_service.adapters.dicom.acquisition import acquisition_of
from willis_service.adapters.dicom.binning import BINNING, binned, binned_geometry, binned_header
from willis_service.adapters.dicom.dynamic_layout import DynamicLayout, lay_out_dynamic
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.geometry import SlicePlane
from willis_service.adapters.dicom.pixels import (
    LoadedPixels,
    check_pixels,
    decoded,
    in_units,
    scale_of,
)
from willis_service.adapters.dicom.reader import quality_items, thickness_mm
from willis_service.adapters.dicom.series import DicomSeries, sources_of

Array = NDArray[Any]

MOST_BYTES = 1_200_000_000
"""Frames larger than this are averaged over 2 x 2 pixels while they are read."""
_MOST_THREADS = 4
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class _Target:
    """Where one image goes; a copy only has to equal what is there."""

    plane: SlicePlane
    t: int
    z: int
    is_copy: bool = False


@dataclass
class _Filling:
    """Takes images in any order, from several threads, each into its own place."""

    frames: Array
    listing: SeriesListing
    is_binned: bool
    padded: list[int] = field(default_factory=list)
    refused_hu: list[float] = field(default_factory=list)

    def take_file(self, targets: Sequence[_Target]) -> None:
        """Decode what one file holds."""
        planes = [target.plane for target in targets]
        for target, stored in zip(targets, decoded(self.listing, planes), strict=True):
            self._put(target, stored)

    def _put(self, target: _Target, stored: Array) -> None:
        header = self.listing.headers[target.plane.file]
        values, padded, refused_hu = in_units(stored, scale_of(header, target.plane.frame))
        self.padded.append(padded)
        if refused_hu is not None:
            self.refused_hu.append(refused_hu)
        if self.is_binned:
            values = binned(values)
        if not np.issubdtype(values.dtype, np.integer):
            # Where a scanner scales by parts of a unit: half a unit is far below the noise.
            values = np.rint(values)
        values = np.clip(values, _INT16.min, _INT16.max).astype(np.int16)
        if not target.is_copy:
            self.frames[target.t, target.z] = values
        elif not np.array_equal(self.frames[target.t, target.z], values):
            raise DuplicateSlices(
                f"Two different images of slice {target.z + 1} were taken at the same moment: "
                "send one reconstruction only."
            )


def read_dynamic(listing: SeriesListing, most_bytes: int = MOST_BYTES) -> DicomSeries:
    """Read a dynamic series; its ``stack`` is the mean over time.

    Raises DecodingError, ColourPixels, LossyPixels, UnsuitableSeries and the leaves of
    GeometryError. What could be put right is a quality item in ``acquisition.source_items``.
    The headers are those of the first time point.
    """
    check_pixels(listing.headers)
    layout = lay_out_dynamic(listing.headers)
    shape = (len(layout.planes), *layout.stack.shape)
    is_binned = int(np.prod(shape)) * np.dtype(np.int16).itemsize > most_bytes
    frames, loaded = _load(listing, layout, is_binned)
    origins, row_step, column_step = binned_geometry(layout.stack, is_binned)
    dynamic = DynamicStack(frames, layout.times_s, origins, row_step, column_step)
    stack = dynamic.mean
    items = (*quality_items(listing, layout.stack, loaded, stack), *layout.items)
    items += tuple(_dynamic_items(layout, is_binned))
    acquisition = acquisition_of(listing.headers, thickness_mm(layout.stack), items)
    first = [plane for plane in layout.planes[0] if plane is not None]
    used, numbers = sources_of(listing.headers, first)
    if is_binned:
        used = tuple(binned_header(header) for header in used)
    return DicomSeries(InputImage(stack, acquisition, dynamic), used, numbers)


def _load(
    listing: SeriesListing, layout: DynamicLayout, is_binned: bool
) -> tuple[Array, LoadedPixels]:
    slices, rows, columns = layout.stack.shape
    step = BINNING if is_binned else 1
    shape = (len(layout.planes), slices, rows // step, columns // step)
    filling = _Filling(np.empty(shape, np.int16), listing, is_binned)
    for targets in (_first_targets(layout), _copy_targets(layout)):
        by_file = groupby(targets, key=lambda target: target.plane.file)
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            for _ in pool.map(filling.take_file, [list(run) for _, run in by_file]):
                pass
    _fill_in(filling.frames, layout)
    loaded = LoadedPixels(
        voxels=filling.frames,
        duplicates_dropped=len(layout.copies),
        padding_fraction=sum(filling.padded) / max(1, len(filling.padded) * rows * columns),
        refused_padding_hu=max(filling.refused_hu, default=None),
    )
    return filling.frames, loaded


def _first_targets(layout: DynamicLayout) -> list[_Target]:
    rows = enumerate(layout.planes)
    every = ((plane, t, z) for t, row in rows for z, plane in enumerate(row))
    found = [_Target(plane, t, z) for plane, t, z in every if plane is not None]
    return sorted(found, key=lambda one: (one.plane.file, one.plane.frame))


def _copy_targets(layout: DynamicLayout) -> list[_Target]:
    found = [_Target(plane, t, z, is_copy=True) for t, z, plane in layout.copies]
    return sorted(found, key=lambda one: (one.plane.file, one.plane.frame))


def _fill_in(frames: Array, layout: DynamicLayout) -> None:
    """A missing image is interpolated linearly between those before and after it."""
    times = layout.times_s
    for t, z in layout.missing:
        share = (times[t, z] - times[t - 1, z]) / (times[t + 1, z] - times[t - 1, z])
        mixed = (1 - share) * frames[t - 1, z] + share * frames[t + 1, z]
        frames[t, z] = np.rint(mixed).astype(frames.dtype)


def _dynamic_items(layout: DynamicLayout, is_binned: bool) -> Iterator[QualityItem]:
    if layout.missing:
        count = len(layout.missing)
        yield QualityItem(
            code="IMAGES_INTERPOLATED",
            outcome="warn",
            message=f"{count} images of the dynamic series are missing and were interpolated "
            "from those before and after.",
            value=count,
        )
    if is_binned:
        yield QualityItem(
            code="PIXELS_BINNED",
            outcome="pass",
            message="The dynamic series is larger than can be held in memory; "
            "2 x 2 pixels were averaged while it was read.",
            value=BINNING,
        )
