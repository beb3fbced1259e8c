"""Where the slices of a series lie: order and spacing from position and orientation only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from willis_models.errors import (
    DuplicateSlices,
    GeometryError,
    MissingSlices,
    MixedOrientations,
    TooFewSlices,
)
from willis_service.adapters.dicom import headers

Floats = NDArray[np.float64]

MINIMUM_SLICES = {"CT": 10}
ONE_POSITION_MM = 0.01
_SAME_PLACE_MM = 0.1
_GAP_RATIO = 1.75
_NEIGHBOURS = 3
_THICKNESS_MARGIN = 1.1
_ORIENTATION_TOLERANCE = 1e-3
_SPACING_TOLERANCE = 1e-3
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True)
class SlicePlane:
    """One image's place in the patient, and in which file (and frame) its pixels are.

    ``row_lps`` is the unit vector along a row (x + 1), ``column_lps`` along a column (y + 1);
    ``spacing_mm`` is (between rows, between columns), ``matrix`` (rows, columns).
    """

    file: int
    frame: int
    origin_lps: Floats
    row_lps: Floats
    column_lps: Floats
    spacing_mm: tuple[float, float]
    matrix: tuple[int, int]
    thickness_mm: float | None


@dataclass(frozen=True)
class StackLayout:
    """The planes of a series by position along their normal; a position may have duplicates."""

    positions: tuple[tuple[SlicePlane, ...], ...]

    @property
    def first(self) -> SlicePlane:
        """The plane of the lowest position along the normal."""
        return self.positions[0][0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)."""
        return len(self.positions), *self.first.matrix

    @property
    def origins_lps(self) -> Floats:
        """Centre of the first voxel of each slice, (z, 3)."""
        return np.array([planes[0].origin_lps for planes in self.positions])

    @property
    def row_step_lps(self) -> Floats:
        """World step for x + 1."""
        return np.asarray(self.first.row_lps * self.first.spacing_mm[1])

    @property
    def column_step_lps(self) -> Floats:
        """World step for y + 1."""
        return np.asarray(self.first.column_lps * self.first.spacing_mm[0])


def lay_out(datasets: Sequence[Dataset], modality: str | None) -> StackLayout:
    """Order the images along their normal and check that they make one complete stack.

    Raises GeometryError, MixedOrientations, DuplicateSlices, TooFewSlices, MissingSlices.
    """
    layout = arrange(datasets)
    check_complete(layout, MINIMUM_SLICES.get(modality or "", 1))
    return layout


def arrange(datasets: Sequence[Dataset], same_position_mm: float = ONE_POSITION_MM) -> StackLayout:
    """Order the images along their normal, complete or not.

    Images closer than ``same_position_mm`` along the normal lie at one position.
    Raises GeometryError, MixedOrientations, DuplicateSlices.
    """
    planes = [plane for n, header in enumerate(datasets) for plane in planes_of(header, n)]
    _check_alike(planes)
    return StackLayout(_by_position(planes, same_position_mm))


def check_complete(layout: StackLayout, minimum: int) -> None:
    """Raise TooFewSlices or MissingSlices."""
    if len(layout.positions) < minimum:
        raise TooFewSlices(
            f"The series has {len(layout.positions)} slices; at least {minimum} are needed."
        )
    _check_gaps(layout)


def planes_of(header: Dataset, file: int = 0) -> tuple[SlicePlane, ...]:
    """The planes of one object: one, or one for each frame. Raises GeometryError."""
    if headers.frame_count(header) > 1 and not headers.is_enhanced(header):
        raise GeometryError("A multi-frame image doesn't say where each of its frames lies.")
    return tuple(_plane(header, file, frame) for frame in range(headers.frame_count(header)))


def _plane(header: Dataset, file: int, frame: int) -> SlicePlane:
    position = _numbers(header, "PlanePositionSequence", "ImagePositionPatient", frame, 3)
    cosines = _numbers(header, "PlaneOrientationSequence", "ImageOrientationPatient", frame, 6)
    spacing = _numbers(header, "PixelMeasuresSequence", "PixelSpacing", frame, 2)
    rows, columns = headers.number(header, "Rows"), headers.number(header, "Columns")
    if not rows or not columns or min(spacing) <= 0:
        raise GeometryError("An image's matrix or pixel spacing is not positive.")
    row, column = _unit(cosines[:3]), _unit(cosines[3:])
    if abs(float(row @ column)) > _UNIT_TOLERANCE:
        raise GeometryError("The rows and columns of an image are not perpendicular.")
    measures = headers.group_item(header, "PixelMeasuresSequence", "SliceThickness", frame)
    return SlicePlane(
        file=file,
        frame=frame,
        origin_lps=np.array(position),
        row_lps=row,
        column_lps=column,
        spacing_mm=(spacing[0], spacing[1]),
        matrix=(int(rows), int(columns)),
        thickness_mm=headers.number(measures, "SliceThickness") or None,
    )


def _numbers(header: Dataset, group: str, keyword: str, frame: int, count: int) -> list[float]:
    found = headers.numbers(headers.group_item(header, group, keyword, frame), keyword)
    if found is None or len(found) != count:
        raise GeometryError(f"An image has no usable {keyword}: its place is not known.")
    return list(found)


def _unit(vector: Sequence[float]) -> Floats:
    length = float(np.linalg.norm(vector))
    if abs(length - 1.0) > _UNIT_TOLERANCE:
        raise GeometryError("ImageOrientationPatient does not hold unit vectors.")
    return np.asarray(vector) / length


def _check_alike(planes: Sequence[SlicePlane]) -> None:
    """One orientation, pixel spacing and matrix, or MixedOrientations."""
    first = planes[0]
    for plane in planes[1:]:
        turned = np.abs(
            [*(plane.row_lps - first.row_lps), *(plane.column_lps - first.column_lps)]
        ).max()
        if turned > _ORIENTATION_TOLERANCE:
            raise MixedOrientations("The images of the series differ in orientation.")
        if plane.matrix != first.matrix:
            raise MixedOrientations(
                f"The images differ in matrix: {_times(first.matrix)} and {_times(plane.matrix)}."
            )
        if not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=_SPACING_TOLERANCE, atol=0):
            raise MixedOrientations("The images of the series differ in pixel spacing.")


def _times(matrix: tuple[int, int]) -> str:
    return f"{matrix[0]} x {matrix[1]}"


def _by_position(
    planes: Sequence[SlicePlane], same_position_mm: float
) -> tuple[tuple[SlicePlane, ...], ...]:
    """Planes in order along the normal (row x column), those at one position together."""
    normal = np.cross(planes[0].row_lps, planes[0].column_lps)
    ordered = sorted(planes, key=lambda plane: float(plane.origin_lps @ normal))
    positions: list[list[SlicePlane]] = []
    for plane in ordered:
        step = plane.origin_lps - positions[-1][0].origin_lps if positions else None
        if step is None or float(step @ normal) > same_position_mm:
            positions.append([plane])
        elif float(np.linalg.norm(step)) <= max(_SAME_PLACE_MM, 2 * same_position_mm):
            positions[-1].append(plane)
        else:
            raise DuplicateSlices("Two images of the same plane show different parts of it.")
    return tuple(tuple(same) for same in positions)


def _check_gaps(layout: StackLayout) -> None:
    gaps = gaps_in(layout)
    if gaps:
        where = ", ".join(f"{gap + 1} and {gap + 2}" for gap in gaps)
        raise MissingSlices(
            f"Slices are missing between slices {where} of {len(layout.positions)}: "
            "send the series again, complete."
        )


def gaps_in(layout: StackLayout) -> list[int]:
    """The steps that leave tissue unseen: number k is the step from slice k to slice k + 1.

    A gap is longer than 1.75 of the steps around it and longer than its slices are thick: a change
    of step with the slice thickness, or overlapping slices of which one is missing, leave none.
    """
    origins, first = layout.origins_lps, layout.first
    steps_mm = np.diff(origins @ np.cross(first.row_lps, first.column_lps))
    thickness_mm = [planes[0].thickness_mm or 0.0 for planes in layout.positions]
    return [
        k
        for k, step in enumerate(steps_mm)
        if step > _GAP_RATIO * _local_step_mm(steps_mm, k)
        and step > _THICKNESS_MARGIN * max(thickness_mm[k], thickness_mm[k + 1])
    ]


def _local_step_mm(steps_mm: Floats, k: int) -> float:
    """The median of the steps around step k, itself left out."""
    around = [*steps_mm[max(0, k - _NEIGHBOURS) : k], *steps_mm[k + 1 : k + 1 + _NEIGHBOURS]]
    return float(np.median(around)) if around else float(steps_mm[k])
