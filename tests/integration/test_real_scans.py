"""The reader on real scanners' files: a tilted patient and a skull phantom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.series_selection import Selection, select_series

NCCT = Role("ncct", "CT", "non-contrast head CT")


def select(folder: Path) -> Selection:
    return select_series(scan([folder]), (NCCT,))


def read(folder: Path) -> DicomSeries:
    return read_series(select(folder).chosen["ncct"].listing)


def items(series: DicomSeries) -> dict[str, float | None]:
    return {item.code: item.value for item in series.image.acquisition.source_items}


@pytest.fixture(scope="module")
def ge(shared: Path) -> DicomSeries:
    return read(shared / "samples" / "ncct_ge_tilt")


def test_the_ge_patient_keeps_its_tilt_and_its_uneven_steps(ge: DicomSeries) -> None:
    stack = ge.image.stack

    assert stack.shape == (28, 512, 512)
    assert stack.tilt_deg == pytest.approx(18.5, abs=0.01)
    np.testing.assert_allclose(stack.slice_steps_mm, [4.0] * 13 + [1.08] + [7.0] * 13, atol=0.01)
    assert set(items(ge)) == {
        "GANTRY_TILT_CORRECTED",
        "SLICE_STEPS_UNEVEN",
        "PADDING_REPLACED",
        "PATIENT_AGE_UNKNOWN",
    }


def test_the_ge_patients_padding_is_air_and_its_brain_is_brain(ge: DicomSeries) -> None:
    stack = ge.image.stack

    assert stack.voxels.min() == -1024
    assert items(ge)["PADDING_REPLACED"] == pytest.approx(23.7, abs=0.5)
    middle = stack.voxels[20, 236:276, 226:286]
    assert 15 < np.median(middle) < 45


def test_the_ge_patients_dark_area_is_on_the_patients_left(ge: DicomSeries) -> None:
    columns = {"dark": slice(300, 340), "mirrored": slice(150, 190)}
    patches = {name: ge.image.stack.voxels[15, 320:380, x] for name, x in columns.items()}
    index = np.array([[15.0, 350.0, (x.start + x.stop) / 2] for x in columns.values()])

    dark_lps, mirrored_lps = ge.image.stack.to_world(index)

    assert np.median(patches["mirrored"]) - np.median(patches["dark"]) > 10
    assert dark_lps[0] > 0 > mirrored_lps[0]


def test_the_ge_patients_slices_are_in_step_with_their_headers(ge: DicomSeries) -> None:
    heights = [float(header.ImagePositionPatient[2]) for header in ge.headers]

    assert heights == sorted(heights)
    np.testing.assert_allclose(ge.image.stack.origins_lps[:, 2], heights)


def test_every_voxel_of_the_tilted_patient_comes_back_from_the_world(ge: DicomSeries) -> None:
    stack = ge.image.stack
    index = np.random.default_rng(0).integers(0, stack.shape, (1000, 3)).astype(float)

    np.testing.assert_allclose(stack.to_index(stack.to_world(index)), index, atol=1e-6)


def test_the_phantoms_localizer_and_screen_captures_are_set_aside(shared: Path) -> None:
    selection = select(shared / "samples" / "ncct_philips_phantom" / "study_mixed_series")

    assert selection.chosen["ncct"].listing.series_number == 201
    assert {aside.series_number: aside.code for aside in selection.set_aside} == {
        100: "LOCALIZER",
        401: "SECONDARY_CAPTURE",
    }
    captures = next(aside for aside in selection.set_aside if aside.series_number == 401)
    assert "DOSE_INFO" in captures.reason


def test_the_phantoms_brain_series_is_a_plain_stack(shared: Path) -> None:
    series = read(shared / "samples" / "ncct_philips_phantom" / "study_mixed_series")

    assert series.image.stack.shape == (28, 512, 512)
    assert series.image.stack.slice_steps_mm == pytest.approx(5.0)
    assert set(items(series)) == {"PATIENT_AGE_UNKNOWN"}


def test_the_phantoms_tilted_study_agrees_with_its_stated_tilt(shared: Path) -> None:
    series = read(shared / "samples" / "ncct_philips_phantom" / "study_tilted")

    assert series.image.stack.shape == (54, 512, 512)
    assert items(series)["GANTRY_TILT_CORRECTED"] == pytest.approx(18.5, abs=0.01)
    # The table moves 2.5 mm; the tilted slices lie 2.5 x cos 18.5 degrees apart.
    assert series.image.stack.slice_steps_mm == pytest.approx(2.371, abs=1e-3)
    assert "GANTRY_TILT_DISAGREES" not in items(series)
