"""What completeness reads from headers: places, time points, announced numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from tests.synthetic_ct import write_ct_series
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.series_shape import shape_of
from willis_service.domain.completeness import (
    HEAD_CT,
    PERFUSION,
    Basis,
    Lack,
    SeriesShape,
    Verdict,
    judge,
)

SHAPE = (30, 16, 16)
PERFUSION_SHAPE = (8, 16, 16)


def listing(folder: Path, **given: Any) -> SeriesListing:
    write_ct_series(folder, **({"shape": SHAPE} | given))
    return only(folder)


def only(folder: Path) -> SeriesListing:
    (one,) = scan([folder])
    return one


def shape(folder: Path, **given: Any) -> SeriesShape:
    found = shape_of(listing(folder, **given))
    assert found is not None
    return found


def perfusion(folder: Path, time_points: int = 12, **given: Any) -> None:
    """A dynamic series of 8 slices; ``given`` may be functions of the time point."""
    for time in range(time_points):
        stated = {keyword: value(time) for keyword, value in given.items()}
        write_ct_series(
            folder,
            shape=PERFUSION_SHAPE,
            seed=f"time {time}",
            study_seed="perfusion",
            overrides={"SeriesInstanceUID": "1.2.3", "ContentTime": None, **stated},
        )


def verdict(folder: Path) -> Verdict:
    found = shape_of(only(folder))
    assert found is not None
    return judge(found, PERFUSION)


@pytest.mark.parametrize("given", [{}, {"tilt_deg": 18.5}, {"slice_step_mm": 4.8}])
def test_a_whole_head_is_complete_whatever_its_files_are_called(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    assert judge(shape(tmp_path, **given), HEAD_CT) is Basis.CONTIGUOUS_SLICES


@pytest.mark.parametrize("missing", [[7], [14, 15], list(range(1, 30, 2))])
def test_a_missing_slice_is_seen(tmp_path: Path, missing: list[int]) -> None:
    assert judge(shape(tmp_path, missing=missing), HEAD_CT) in (Lack.GAP, Lack.NOT_CONTIGUOUS)


def test_a_copy_or_another_image_of_a_slice_is_seen(tmp_path: Path) -> None:
    assert judge(shape(tmp_path, duplicated=[3]), HEAD_CT) is Lack.REPEATED


def test_images_that_make_no_stack_have_no_shape(tmp_path: Path) -> None:
    def turned(k: int, dataset: Dataset) -> None:
        if k == 3:
            dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]

    assert shape_of(listing(tmp_path, edit=turned)) is None


def test_a_multi_frame_object_is_complete_by_itself(tmp_path: Path) -> None:
    few = shape(tmp_path, shape=(4, 16, 16), enhanced=True)

    assert judge(few, HEAD_CT) is Basis.MULTI_FRAME


def test_a_part_of_a_concatenation_is_not(tmp_path: Path) -> None:
    part = {"InConcatenationTotalNumber": 2, "InConcatenationNumber": 1}

    assert not shape(tmp_path, enhanced=True, overrides=part).is_whole_object


@pytest.mark.parametrize(
    ("overrides", "announced"),
    [
        ({}, None),
        ({"ImagesInAcquisition": 30}, 30),
        ({"ImagesInAcquisition": 30, "NumberOfSeriesRelatedInstances": 40}, 40),
        ({"ImagesInAcquisition": 0}, None),
    ],
)
def test_announced_numbers_are_read_where_they_are_stated(
    tmp_path: Path, overrides: dict[str, int], announced: int | None
) -> None:
    assert shape(tmp_path, overrides=overrides).announced_images == announced


def test_the_images_of_several_acquisitions_add_up(tmp_path: Path) -> None:
    def two_acquisitions(k: int, dataset: Dataset) -> None:
        dataset.AcquisitionNumber = 1 + k // 15
        dataset.ImagesInAcquisition = 15

    assert shape(tmp_path, edit=two_acquisitions).announced_images == 30


TIMES = {
    "AcquisitionTime": lambda time: f"1012{2 * time:02d}.5",
    "ContentTime": lambda time: f"1012{2 * time:02d}",
    "TemporalPositionIdentifier": lambda time: time + 1,
    "TriggerTime": lambda time: 1500.0 * time,
    "AcquisitionNumber": lambda time: time + 1,
}


@pytest.mark.parametrize("keyword", TIMES)
def test_time_points_are_told_apart_by_whatever_states_them(tmp_path: Path, keyword: str) -> None:
    perfusion(tmp_path, **{keyword: TIMES[keyword]})

    assert verdict(tmp_path) is Basis.TIME_POINTS


def test_one_image_missing_at_one_time_point_is_seen(tmp_path: Path) -> None:
    perfusion(tmp_path, AcquisitionTime=TIMES["AcquisitionTime"])
    next(iter(sorted(tmp_path.iterdir()))).unlink()

    assert verdict(tmp_path) is Lack.UNEVEN_TIME_POINTS


def test_a_whole_time_point_missing_is_seen_by_its_number(tmp_path: Path) -> None:
    perfusion(tmp_path, TemporalPositionIdentifier=lambda time: time + 1 + (time >= 5))

    assert verdict(tmp_path) is Lack.UNEVEN_TIME_POINTS


def test_fewer_time_points_than_announced_are_seen(tmp_path: Path) -> None:
    perfusion(
        tmp_path,
        AcquisitionTime=TIMES["AcquisitionTime"],
        NumberOfTemporalPositions=lambda _: 13,
    )

    assert verdict(tmp_path) is Lack.ANNOUNCED


def test_without_any_time_a_repeated_slice_is_no_time_point(tmp_path: Path) -> None:
    perfusion(tmp_path, AcquisitionNumber=lambda _: None)

    assert verdict(tmp_path) is Lack.FEW_TIME_POINTS
