"""A series as scanners really write it becomes a stack in Hounsfield units, or a named error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.synthetic_ct import (
    MARKER_HU,
    MARKER_LPS_MM,
    SAGITTAL,
    head_hu,
    stack_geometry,
    write_ct_series,
)
from willis_models.errors import (
    ColourPixels,
    DecodingError,
    DuplicateSlices,
    GeometryError,
    LossyPixels,
    MissingSlices,
    MixedOrientations,
    NoSuitableSeries,
    TooFewSlices,
    UnsuitableSeries,
)
from willis_models.findings import QualityItem
from willis_models.pipelines.base import InputImage
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.series import DicomSeries

SHAPE = (28, 48, 48)


def read(folder: Path, **options: Any) -> DicomSeries:
    return read_series(write_ct_series(folder, **{"shape": SHAPE, "noise_hu": 0.0, **options}))


def item(image: InputImage, code: str) -> QualityItem | None:
    return next((one for one in image.acquisition.source_items if one.code == code), None)


def codes(series: DicomSeries) -> set[str]:
    return {one.code for one in series.image.acquisition.source_items}


def marker_lps(series: DicomSeries) -> np.ndarray:
    stack = series.image.stack
    return stack.to_world(np.argwhere(stack.voxels == MARKER_HU)).mean(axis=0)


def test_a_clean_series_is_read_as_written_and_nothing_is_remarked(tmp_path: Path) -> None:
    hu = _numbered_slices()

    series = read(tmp_path, hu=hu)

    assert np.array_equal(series.image.stack.voxels, hu)
    assert series.image.stack.voxels.dtype == np.int16
    assert series.image.stack.slice_steps_mm == pytest.approx(5.0)
    assert codes(series) == set()


def test_headers_follow_the_slices_and_hold_no_pixels(tmp_path: Path) -> None:
    series = read(tmp_path)

    assert [int(header.InstanceNumber) for header in series.headers] == list(range(1, 29))
    assert not series.is_multiframe
    assert not any("PixelData" in header for header in series.headers)


def test_instance_numbers_that_run_the_other_way_change_nothing(tmp_path: Path) -> None:
    def count_down(k: int, dataset: Dataset) -> None:
        dataset.InstanceNumber = 100 - k

    hu = _numbered_slices()

    assert np.array_equal(read(tmp_path, hu=hu, edit=count_down).image.stack.voxels, hu)


GEOMETRIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "tilted": {"tilt_deg": 18.5},
    "tilted the other way": {"tilt_deg": -25.0},
    "uneven steps": {"steps_mm": [4.0] * 14 + [1.1] + [7.0] * 12},
    "prone": {"orientation": (-1, 0, 0, 0, -1, 0), "overrides": {"PatientPosition": "HFP"}},
    "feet first": {"orientation": (-1, 0, 0, 0, 1, 0), "overrides": {"PatientPosition": "FFS"}},
    "sagittal": {"orientation": SAGITTAL},
    "oblique": {"orientation": (0.96, 0.28, 0, -0.28, 0.96, 0), "tilt_deg": 12.0},
}


@pytest.mark.parametrize("options", GEOMETRIES.values(), ids=GEOMETRIES.keys())
@pytest.mark.parametrize("enhanced", [False, True], ids=["single-frame", "enhanced"])
def test_what_is_on_the_patients_left_stays_there(
    tmp_path: Path, options: dict[str, Any], enhanced: bool
) -> None:
    series = read(tmp_path, marker=True, enhanced=enhanced, **options)

    np.testing.assert_allclose(marker_lps(series), MARKER_LPS_MM, atol=2.5)


def test_gantry_tilt_stays_in_the_stack_and_is_reported_in_degrees(tmp_path: Path) -> None:
    series = read(tmp_path, tilt_deg=18.5)

    found = item(series.image, "GANTRY_TILT_CORRECTED")
    assert found is not None
    assert found.value == pytest.approx(18.5, abs=0.01)
    assert series.image.stack.slice_steps_mm == pytest.approx(5.0 * np.cos(np.radians(18.5)))
    assert "GANTRY_TILT_DISAGREES" not in codes(series)


@pytest.mark.parametrize("stated", [-18.5, 18.5])
def test_the_sign_of_the_stated_tilt_does_not_matter(tmp_path: Path, stated: float) -> None:
    series = read(tmp_path, tilt_deg=18.5, overrides={"GantryDetectorTilt": stated})

    assert "GANTRY_TILT_DISAGREES" not in codes(series)


def test_a_stated_tilt_that_the_positions_do_not_show_is_flagged(tmp_path: Path) -> None:
    series = read(tmp_path, overrides={"GantryDetectorTilt": 15.0})

    found = item(series.image, "GANTRY_TILT_DISAGREES")
    assert found is not None
    assert found.outcome == "warn"


def test_uneven_steps_are_kept_and_flagged(tmp_path: Path) -> None:
    steps = [4.0] * 14 + [1.1] + [7.0] * 12

    series = read(tmp_path, steps_mm=steps, overrides={"SliceThickness": 7.0})

    assert series.image.stack.slice_steps_mm == pytest.approx(steps)
    found = item(series.image, "SLICE_STEPS_UNEVEN")
    assert found is not None
    assert (found.outcome, found.value) == ("warn", pytest.approx(5.9))


@pytest.mark.parametrize("missing", [[9], [9, 10], [9, 11], [1], [26]])
def test_a_gap_is_an_error_that_says_where(tmp_path: Path, missing: list[int]) -> None:
    with pytest.raises(MissingSlices, match="between slices"):
        read(tmp_path, missing=missing)


def test_a_missing_frame_of_an_enhanced_object_is_an_error_too(tmp_path: Path) -> None:
    with pytest.raises(MissingSlices):
        read(tmp_path, missing=[9], enhanced=True)


def test_a_missing_slice_among_overlapping_ones_leaves_no_gap_but_uneven_steps(
    tmp_path: Path,
) -> None:
    series = read(tmp_path, slice_step_mm=2.5, overrides={"SliceThickness": 5.0}, missing=[9])

    assert "SLICE_STEPS_UNEVEN" in codes(series)


def test_a_regular_gap_between_thin_slices_is_how_the_scan_was_planned(tmp_path: Path) -> None:
    series = read(tmp_path, overrides={"SliceThickness": 2.0})

    assert codes(series) == set()


def test_an_exact_copy_of_a_slice_is_left_out_and_flagged(tmp_path: Path) -> None:
    series = read(tmp_path, duplicated=[5, 9])

    assert series.image.stack.shape == SHAPE
    assert len(series.headers) == 28
    found = item(series.image, "DUPLICATE_SLICES_DROPPED")
    assert found is not None
    assert (found.outcome, found.value) == ("warn", 2)


def test_two_different_images_at_one_position_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DuplicateSlices, match="slice 6 of 28"):
        read(tmp_path, conflicting=[5])


def test_two_fields_of_view_in_one_plane_are_an_error(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, duplicated=[5])
    dataset = dcmread(paths[-1])
    dataset.ImagePositionPatient[0] += 20.0
    dataset.save_as(paths[-1])

    with pytest.raises(DuplicateSlices, match="different parts"):
        read_series(paths)


MIXTURES: dict[str, dict[str, Any]] = {
    "orientation": {"ImageOrientationPatient": [1, 0, 0, 0, 0.9962, -0.0872]},
    "pixel spacing": {"PixelSpacing": [0.5, 0.5]},
}


@pytest.mark.parametrize("change", MIXTURES.values(), ids=MIXTURES.keys())
def test_images_that_differ_in_geometry_are_an_error(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    def change_one(k: int, dataset: Dataset) -> None:
        if k == 7:
            for keyword, value in change.items():
                setattr(dataset, keyword, value)

    with pytest.raises(MixedOrientations):
        read(tmp_path, edit=change_one)


def test_images_of_different_matrix_are_an_error(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "a", shape=(14, 32, 32))
    paths += write_ct_series(tmp_path / "b", shape=(13, 48, 48))

    with pytest.raises(MixedOrientations, match=r"(32 x 32|48 x 48) and"):
        read_series(paths)


def test_fewer_than_ten_ct_slices_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(TooFewSlices, match="9 slices"):
        read(tmp_path, shape=(9, 16, 16))


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_an_image_without_a_place_is_an_error(tmp_path: Path, keyword: str) -> None:
    def forget(k: int, dataset: Dataset) -> None:
        if k == 3:
            delattr(dataset, keyword)

    with pytest.raises(GeometryError, match=keyword):
        read(tmp_path, edit=forget)


@pytest.mark.parametrize("orientation", [(1, 0, 0, 1, 0, 0), (2, 0, 0, 0, 1, 0)])
def test_an_orientation_that_is_none_is_an_error(
    tmp_path: Path, orientation: tuple[float, ...]
) -> None:
    def distort(_k: int, dataset: Dataset) -> None:
        dataset.ImageOrientationPatient = list(orientation)

    with pytest.raises(GeometryError):
        read(tmp_path, edit=distort)


@pytest.mark.parametrize(
    ("signed", "slope", "intercept"),
    [(True, 1.0, 0.0), (True, 1.0, -1024.0), (False, 1.0, -1024.0), (False, 1.0, -8192.0)],
)
def test_signed_and_unsigned_values_give_the_same_hounsfield_units(
    tmp_path: Path, signed: bool, slope: float, intercept: float
) -> None:
    hu = _numbered_slices()

    stack = read(tmp_path, hu=hu, signed=signed, slope=slope, intercept=intercept).image.stack

    assert stack.voxels.dtype == np.int16
    assert np.array_equal(stack.voxels, hu)


def test_a_broken_slope_gives_floating_point_values(tmp_path: Path) -> None:
    hu = _numbered_slices()

    stack = read(tmp_path, hu=hu, slope=0.5, intercept=-1000.25).image.stack

    assert stack.voxels.dtype == np.float32
    np.testing.assert_allclose(stack.voxels, hu, atol=0.26)


def test_metal_beyond_int16_is_not_cut_off(tmp_path: Path) -> None:
    hu = np.full(SHAPE, 40, np.int32)
    hu[:, 20, 20] = 40_000

    stack = read(tmp_path, hu=hu, signed=False).image.stack

    assert stack.voxels.max() == 40_000


@pytest.mark.parametrize("padding", [-1500, -2000, -3024])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_padding_outside_the_field_of_view_becomes_air(
    tmp_path: Path, padding: int, declared: bool
) -> None:
    series = read(tmp_path, padding=padding, declare_padding=declared, intercept=0.0)

    voxels = series.image.stack.voxels
    assert voxels.min() == -1024
    assert voxels[0, 0, 0] == -1024
    found = item(series.image, "PADDING_REPLACED")
    assert found is not None
    assert found.value == pytest.approx(100 * (voxels == -1024).mean(), abs=0.01)


def test_a_padding_range_covers_both_its_ends(tmp_path: Path) -> None:
    hu = np.full(SHAPE, 40, np.int16)
    hu[:, 0, :3] = (-1000, -990, -980)
    limits = {"PixelPaddingValue": -1000, "PixelPaddingRangeLimit": -980}

    voxels = read(tmp_path, hu=hu, intercept=0.0, overrides=limits).image.stack.voxels

    assert (voxels[:, 0, :3] == -1024).all()
    assert (voxels[:, 0, 3:] == 40).all()


def test_a_padding_value_among_tissue_values_is_not_applied(tmp_path: Path) -> None:
    hu = np.full(SHAPE, 0, np.int16)

    series = read(tmp_path, hu=hu, intercept=0.0, overrides={"PixelPaddingValue": 0})

    assert (series.image.stack.voxels == 0).all()
    found = item(series.image, "PADDING_VALUE_IGNORED")
    assert found is not None
    assert (found.outcome, found.value) == ("warn", 0.0)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_ct_values_without_a_unit_are_refused(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(UnsuitableSeries, match="Hounsfield"):
        read(tmp_path, overrides={keyword: None})


def test_monochrome1_says_how_to_show_values_not_what_they_are(tmp_path: Path) -> None:
    hu = _numbered_slices()

    series = read(tmp_path, hu=hu, overrides={"PhotometricInterpretation": "MONOCHROME1"})

    assert np.array_equal(series.image.stack.voxels, hu)


def test_colour_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ColourPixels):
        read(tmp_path, overrides={"PhotometricInterpretation": "PALETTE COLOR"})


def test_images_once_compressed_with_loss_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LossyPixels):
        read(tmp_path, overrides={"LossyImageCompression": "01"})


def test_pixels_that_break_off_are_a_decoding_error_naming_the_transfer_syntax(
    tmp_path: Path,
) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE)
    paths[5].write_bytes(paths[5].read_bytes()[:-100])

    with pytest.raises(DecodingError, match="Explicit VR Little Endian") as raised:
        read_series(paths)

    assert "Phantom" not in str(raised.value)


def test_an_enhanced_object_gives_the_same_stack_as_single_images(tmp_path: Path) -> None:
    options: dict[str, Any] = {"tilt_deg": 10.0, "marker": True}

    single = read(tmp_path / "single", **options).image
    enhanced = read(tmp_path / "enhanced", enhanced=True, **options)

    assert np.array_equal(enhanced.image.stack.voxels, single.stack.voxels)
    np.testing.assert_allclose(enhanced.image.stack.origins_lps, single.stack.origins_lps)
    assert enhanced.image.acquisition.kvp == single.acquisition.kvp
    assert codes(enhanced) == {"GANTRY_TILT_CORRECTED"}


def test_frame_numbers_name_the_frame_behind_each_slice(tmp_path: Path) -> None:
    series = read(tmp_path, enhanced=True)

    frames = series.headers[0].PerFrameFunctionalGroupsSequence
    assert series.is_multiframe
    assert series.frame_numbers is not None
    heights = [
        float(frames[number - 1].PlanePositionSequence[0].ImagePositionPatient[2])
        for number in series.frame_numbers
    ]
    assert heights == sorted(heights)


def test_each_frame_of_an_enhanced_object_is_scaled_by_its_own_values(tmp_path: Path) -> None:
    def shift_every_second(_k: int, dataset: Dataset) -> None:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        common = shared.PixelValueTransformationSequence[0]
        del shared.PixelValueTransformationSequence
        for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            transformation = Dataset()
            transformation.RescaleSlope = common.RescaleSlope
            transformation.RescaleIntercept = float(common.RescaleIntercept) + 100 * (number % 2)
            transformation.RescaleType = "HU"
            frame.PixelValueTransformationSequence = [transformation]

    hu = np.full(SHAPE, 40, np.int16)
    series = read(tmp_path, hu=hu, enhanced=True, edit=shift_every_second)

    expected = [40 + 100 * ((number - 1) % 2) for number in series.frame_numbers or ()]
    assert series.image.stack.voxels[:, 0, 0].tolist() == expected


def test_an_enhanced_series_in_several_objects_is_refused(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path / "a", shape=SHAPE, enhanced=True)
    paths += write_ct_series(tmp_path / "b", shape=SHAPE, enhanced=True)

    with pytest.raises(GeometryError, match="several multi-frame objects"):
        read_series(paths)


def test_a_sharp_kernel_is_flagged(tmp_path: Path) -> None:
    assert "SHARP_KERNEL" in codes(read(tmp_path, overrides={"ConvolutionKernel": "BONEPLUS"}))


def test_an_unknown_age_is_flagged(tmp_path: Path) -> None:
    series = read(tmp_path, overrides={"PatientAge": None, "PatientBirthDate": ""})

    assert series.image.acquisition.patient_age_years is None
    assert "PATIENT_AGE_UNKNOWN" in codes(series)


def test_files_of_two_series_have_to_be_selected_from_first(tmp_path: Path) -> None:
    paths = write_ct_series(tmp_path, shape=SHAPE, seed="a")
    paths += write_ct_series(tmp_path, shape=SHAPE, seed="b")

    with pytest.raises(NoSuitableSeries, match="2 series"):
        read_series(paths)


def test_files_that_are_no_dicom_are_a_decoding_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")

    with pytest.raises(DecodingError):
        read_series([tmp_path / "notes.txt"])


def test_the_synthetic_head_is_where_the_reader_says(tmp_path: Path) -> None:
    series = read(tmp_path, tilt_deg=15.0)
    geometry = stack_geometry(SHAPE, [5.0] * 27, 220.0 / 48, 15.0)

    index = np.argwhere(np.ones(SHAPE, bool))
    world = series.image.stack.to_world(index)

    np.testing.assert_allclose(world, geometry.world(SHAPE).reshape(-1, 3), atol=1e-5)
    agree = series.image.stack.voxels.ravel() == head_hu(world)
    assert agree.mean() > 0.999


def _numbered_slices() -> np.ndarray:
    """Each slice has its own value, with air above and bone below it."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[:, 10:30] = np.arange(SHAPE[0], dtype=np.int16)[:, None, None]
    hu[:, 30:] = 1500
    return hu
