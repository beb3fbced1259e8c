"""A simulated scan written as DICOM is a valid CT series that reads back as it was."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from willis_models.volume import SliceStack
from willis_service.adapters.dicom.reader import read_series
from willis_training.simulation.dicom_series import (
    PADDING_HU,
    StudyLabel,
    Subject,
    round_field,
    write_dicom_series,
)
from willis_training.simulation.scanner import Scanner, slice_origins

SCANNER = Scanner(matrix=32, field_of_view_mm=230.0, tilt_deg=-12.0, thickness_mm=5.0)
SUBJECT = Subject("Test^Simulated", "SIM-1", "19500601", 75, "O")
STUDY = StudyLabel("test", "SIMULATED head", "Head 5 mm", "20260105", "081500")


@pytest.fixture
def stack() -> SliceStack:
    corners = np.array([[-70.0, -80.0, -60.0], [70.0, 80.0, 60.0]])
    origins, column = slice_origins(SCANNER, corners, (5.0, 5.0))
    voxels = np.random.default_rng(1).integers(-1000, 1500, (len(origins), 32, 32))
    pixel_mm = SCANNER.pixel_mm
    row_step = np.array([pixel_mm, 0.0, 0.0])
    return SliceStack(voxels.astype(np.int16), origins, row_step, column * pixel_mm)


def write(stack: SliceStack, folder: Path) -> list[Path]:
    return write_dicom_series(stack, SCANNER, SUBJECT, STUDY, folder)


def test_the_service_reads_the_same_hounsfield_units_at_the_same_place(stack, tmp_path):
    read = read_series(write(stack, tmp_path)).image.stack

    inside = round_field(32, 32)
    np.testing.assert_array_equal(read.voxels[:, inside], stack.voxels[:, inside])
    np.testing.assert_allclose(read.origins_lps, stack.origins_lps, atol=1e-5)
    np.testing.assert_allclose(read.column_step_lps, stack.column_step_lps, atol=1e-5)
    assert read.tilt_deg == pytest.approx(12.0, abs=1e-3)


def test_outside_the_round_field_lies_declared_padding_stored_without_loss(stack, tmp_path):
    dataset = dcmread(write(stack, tmp_path)[3])

    assert dataset.file_meta.TransferSyntaxUID == JPEGLSLossless
    assert dataset.PixelPaddingValue == PADDING_HU
    assert (dataset.pixel_array[~round_field(32, 32)] == PADDING_HU).all()
    np.testing.assert_array_equal(
        dataset.pixel_array[round_field(32, 32)], stack.voxels[3][round_field(32, 32)]
    )


def test_the_same_scan_gives_the_same_bytes(stack, tmp_path):
    first, second = write(stack, tmp_path / "a"), write(stack, tmp_path / "b")

    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_every_image_has_its_own_uid_and_another_study_has_other_uids(stack, tmp_path):
    other = StudyLabel("other", "SIMULATED head", "Head 5 mm", "20260105", "081500")
    paths = write(stack, tmp_path / "a")
    paths += write_dicom_series(stack, SCANNER, SUBJECT, other, tmp_path / "b")

    datasets = [dcmread(path, stop_before_pixels=True) for path in paths]

    assert len({d.SOPInstanceUID for d in datasets}) == len(paths)
    assert len({d.StudyInstanceUID for d in datasets}) == 2


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_the_images_are_valid_ct_objects(stack, tmp_path):
    path = write(stack, tmp_path)[0]

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)

    assert "Error" not in said.stderr + said.stdout
    assert "CTImage" in said.stderr + said.stdout
