"""A dynamic series, however it was stored: each image in its place and at its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from tests.infarct_findings import infarct_analysis
from tests.synthetic_ctp import (
    DIRECT,
    PIXEL_MM,
    STEP_MM,
    Ctp,
    at_once,
    by_content_time,
    by_number,
    expected_hu,
    in_turn,
    without_time,
)
from willis_models.errors import DuplicateSlices, MissingSlices, UnsuitableSeries
from willis_models.volume import DynamicStack
from willis_service.adapters.dicom.dynamic_reader import read_dynamic
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.layers import layers_of
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.series_groups import with_groups
from willis_service.adapters.dicom.verify import verify_seg

PLAIN = Ctp(at_once())


def listing(folder: Path, scanned: Ctp = PLAIN) -> SeriesListing:
    scanned.write(folder)
    (one,) = scan([folder])
    return one


def read(folder: Path, scanned: Ctp = PLAIN, **options: Any) -> DicomSeries:
    return read_dynamic(listing(folder, scanned), **options)


def dynamic(series: DicomSeries) -> DynamicStack:
    assert series.image.dynamic is not None
    return series.image.dynamic


def codes(series: DicomSeries) -> set[str]:
    return {item.code for item in series.image.acquisition.source_items}


def check_every_image(found: DynamicStack, times_s: np.ndarray) -> None:
    """Each image shows what was there at its place and time."""
    np.testing.assert_allclose(found.times_s, times_s - times_s.min(), atol=1e-4)
    for t, row in enumerate(times_s):
        for z, time_s in enumerate(row):
            size = found.frames.shape[2:]
            np.testing.assert_array_equal(found.frames[t, z], expected_hu(time_s, z, *size))


@pytest.mark.parametrize("clock", DIRECT)
@pytest.mark.parametrize("times_s", [at_once(), in_turn(), at_once(step_s=1.7)])
def test_images_are_ordered_by_whatever_says_when_they_were_taken(
    tmp_path: Path, clock: str, times_s: np.ndarray
) -> None:
    series = read(tmp_path, Ctp(times_s, stamp=DIRECT[clock]))

    check_every_image(dynamic(series), times_s)
    assert "ACQUISITION_TIMES_INDIRECT" not in codes(series)


@pytest.mark.parametrize("stamp", [by_content_time, by_number])
def test_times_that_only_stand_for_the_acquisition_are_used_with_a_warning(
    tmp_path: Path, stamp: Any
) -> None:
    series = read(tmp_path, Ctp(at_once(), stamp=stamp))

    check_every_image(dynamic(series), at_once())
    assert "ACQUISITION_TIMES_INDIRECT" in codes(series)


def test_a_series_that_says_nothing_of_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsuitableSeries, match="when they were taken"):
        read(tmp_path, Ctp(at_once(), stamp=without_time))


def test_one_enhanced_object_reads_as_single_images_do(tmp_path: Path) -> None:
    times_s = in_turn()
    Ctp(times_s).write_enhanced(tmp_path)
    (one,) = scan([tmp_path])

    series = read_dynamic(one)

    check_every_image(dynamic(series), times_s)
    assert series.frame_numbers is not None and len(set(series.frame_numbers)) == 4


def test_the_still_image_is_the_mean_and_lies_where_the_slices_lie(tmp_path: Path) -> None:
    stack = read(tmp_path).image.stack

    mean_hu = np.mean([expected_hu(t, 2) for t in at_once()[:, 2]], axis=0)
    np.testing.assert_allclose(stack.voxels[2], mean_hu, atol=1e-3)
    np.testing.assert_allclose(stack.slice_steps_mm, STEP_MM)
    assert stack.pixel_spacing_mm == (PIXEL_MM, PIXEL_MM)


def test_gantry_tilt_stays_in_the_geometry(tmp_path: Path) -> None:
    series = read(tmp_path, replace(PLAIN, tilt_mm=1.0))

    assert series.image.stack.tilt_deg == pytest.approx(11.3, abs=0.1)
    assert "GANTRY_TILT_CORRECTED" in codes(series)


def test_the_headers_are_those_of_the_first_time_point_slice_by_slice(tmp_path: Path) -> None:
    series = read(tmp_path)

    heights = [float(header.ImagePositionPatient[2]) for header in series.headers]
    assert heights == [0.0, 5.0, 10.0, 15.0]
    assert {header.AcquisitionNumber for header in series.headers} == {1}


def test_one_missing_image_is_filled_in_from_before_and_after(tmp_path: Path) -> None:
    series = read(tmp_path, Ctp(in_turn(), missing=[(5, 2)]))

    check_every_image(dynamic(series), in_turn())  # the scene is linear in time
    (item,) = (i for i in series.image.acquisition.source_items if i.code == "IMAGES_INTERPOLATED")
    assert (item.outcome, item.value) == ("warn", 1)


MISSING: Mapping[str, list[tuple[int, int]]] = {
    "two in a row": [(5, 2), (6, 2)],
    "too many": [(3, 0), (5, 1), (7, 2)],
}


@pytest.mark.parametrize("missing", MISSING.values(), ids=MISSING)
def test_more_than_can_be_filled_in_is_refused(
    tmp_path: Path, missing: list[tuple[int, int]]
) -> None:
    with pytest.raises(MissingSlices, match="missing"):
        read(tmp_path, replace(PLAIN, missing=missing))


def test_time_points_that_some_slices_lack_at_the_ends_are_left_out(tmp_path: Path) -> None:
    series = read(tmp_path, replace(PLAIN, missing=[(0, 1), (11, 0), (11, 1)]))

    check_every_image(dynamic(series), at_once()[1:11])
    assert "TIME_POINTS_TRIMMED" in codes(series)


def test_a_scan_cut_off_at_half_of_its_slices_is_refused(tmp_path: Path) -> None:
    cut = [(t, 0) for t in range(7, 12)]

    with pytest.raises(MissingSlices):
        read(tmp_path, replace(PLAIN, missing=cut))


def test_copies_are_left_out_and_another_image_of_the_same_moment_is_refused(
    tmp_path: Path,
) -> None:
    series = read(tmp_path / "copy", replace(PLAIN, copies=[(3, 1), (3, 2)]))

    check_every_image(dynamic(series), at_once())
    assert "DUPLICATE_SLICES_DROPPED" in codes(series)
    with pytest.raises(DuplicateSlices):
        read(tmp_path / "other", replace(PLAIN, conflicting=[(3, 1)]))


def test_a_position_with_few_images_is_left_out(tmp_path: Path) -> None:
    alone = [(t, 3) for t in range(12) if t != 6]

    series = read(tmp_path, replace(PLAIN, missing=alone))

    assert dynamic(series).frames.shape[1] == 3
    assert "POSITIONS_LEFT_OUT" in codes(series)


def test_a_slice_missing_throughout_is_a_gap(tmp_path: Path) -> None:
    with pytest.raises(MissingSlices):
        read(tmp_path, Ctp(at_once(slices=6), missing=[(t, 3) for t in range(12)]))


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
def test_compressed_images_read_as_plain_ones_do(tmp_path: Path, syntax: str) -> None:
    series = read(tmp_path, replace(PLAIN, transfer_syntax=syntax, size=(33, 32)))

    check_every_image(dynamic(series), at_once())


def test_frames_are_whole_numbers_even_where_the_scanner_scales_by_parts(tmp_path: Path) -> None:
    found = dynamic(read(tmp_path, replace(PLAIN, slope=0.5)))

    assert found.frames.dtype == np.int16
    check_every_image(found, at_once())


def test_a_series_over_the_memory_limit_is_averaged_over_pixels(tmp_path: Path) -> None:
    series = read(tmp_path / "ctp", replace(PLAIN, size=(16, 18)), most_bytes=1000)
    whole = read(tmp_path / "ctp2", replace(PLAIN, size=(16, 18))).image.stack
    found, stack = dynamic(series), series.image.stack

    assert found.frames.shape == (12, 4, 8, 9)
    assert found.frames[3, 1, 2, 4] == pytest.approx(expected_hu(6.0, 1)[0, 8:10].mean(), abs=0.5)
    assert stack.pixel_spacing_mm == (2 * PIXEL_MM, 2 * PIXEL_MM)
    np.testing.assert_allclose(
        stack.to_world(np.array([1, 2.0, 4.0])), whole.to_world(np.array([1, 4.5, 8.5]))
    )
    assert "PIXELS_BINNED" in codes(series)
    header = series.headers[1]
    assert (header.Rows, header.Columns, float(header.PixelSpacing[0])) == (8, 9, 2 * PIXEL_MM)
    np.testing.assert_allclose(np.array(header.ImagePositionPatient, float), stack.origins_lps[1])


def test_one_series_for_each_time_point_is_one_acquisition(tmp_path: Path) -> None:
    times_s = in_turn()
    for t in range(12):
        one = Ctp(times_s[t : t + 1], seed=f"t{t}", series_number=10 + t)
        one.write(tmp_path / str(t))

    (together,) = with_groups(scan([tmp_path]))

    check_every_image(dynamic(read_dynamic(together)), times_s)
    assert together.series_number == 10


def test_two_series_scanned_in_turn_are_one_acquisition(tmp_path: Path) -> None:
    times_s = in_turn()
    Ctp(times_s[:, :2], seed="lower").write(tmp_path / "lower")
    upper = Ctp(times_s[:, 2:], seed="upper", series_number=6, first_k=2)
    upper.write(tmp_path / "upper")

    (together,) = with_groups(scan([tmp_path]))

    found = dynamic(read_dynamic(together))
    np.testing.assert_allclose(found.times_s, times_s)


APART: Mapping[str, list[Ctp]] = {
    "two boluses": [
        Ctp(at_once(), seed="a"),
        Ctp(at_once() + 300, seed="b", series_number=6, first_k=4),
    ],
    "four phases": [Ctp(at_once(1) + 8.0 * n, seed=f"p{n}", series_number=6 + n) for n in range(4)],
    "scans minutes apart": [
        Ctp(at_once(1) + 60.0 * n, seed=f"p{n}", series_number=6 + n) for n in range(8)
    ],
    "two kernels": [
        Ctp(at_once(), seed="a"),
        Ctp(at_once(), seed="b", series_number=6, overrides={"ConvolutionKernel": "BONE"}),
    ],
}


@pytest.mark.parametrize("series", APART.values(), ids=APART)
def test_what_is_no_single_acquisition_stays_apart(tmp_path: Path, series: list[Ctp]) -> None:
    for one in series:
        one.write(tmp_path / one.seed)

    assert len(with_groups(scan([tmp_path]))) == len(series)


@pytest.mark.parametrize("most_bytes", [10**9, 1000])
@pytest.mark.parametrize("enhanced", [False, True])
def test_a_segmentation_lies_on_the_slices_of_the_series_binned_or_not(
    tmp_path: Path, enhanced: bool, most_bytes: int
) -> None:
    scanned = replace(PLAIN, size=(32, 32))
    _ = scanned.write_enhanced(tmp_path) if enhanced else scanned.write(tmp_path)
    (one,) = scan([tmp_path])
    series = read_dynamic(one, most_bytes)
    analysis = infarct_analysis(series.image.stack)

    seg = write_seg(analysis, series, Equipment("1", "1"), created=datetime(2026, 1, 1, tzinfo=UTC))

    assert seg is not None
    verify_seg(seg, analysis.findings.segments, layers_of(analysis), series)
    assert (seg.Rows, seg.Columns) == series.image.stack.shape[1:]
