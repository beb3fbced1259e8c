"""NIfTI images in time, and maps: each value at its place, each frame at its time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from willis_models.errors import DecodingError, UnsuitableSeries
from willis_models.pipelines.base import InputImage
from willis_service.adapters.nifti import series
from willis_service.adapters.nifti.reader import read_nifti
from willis_service.adapters.nifti.series import is_in_time, read_nifti_dynamic, read_nifti_map


def volume(time: int) -> np.ndarray:
    """(x, y, z) in RAS order: air, brain that brightens with time, and a marker."""
    values = np.full((12, 14, 6), -1000, np.int16)
    values[2:10, 2:12] = 30 + time
    values[4, 4, 4] = 500 + time
    return values


def write(
    path: Path, orientation: str = "RAS", *, step: float = 2.0, unit: str = "sec", times: int = 5
) -> Path:
    values = np.stack([volume(time) for time in range(times)], axis=-1)
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
    )
    image = image.as_reoriented(turn)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", unit)
    image.header["pixdim"][4] = step
    nib.save(image, path)
    return path


def times(image: InputImage) -> list[float]:
    assert image.dynamic is not None
    return [float(one) for one in image.dynamic.times_s[:, 0]]


@pytest.mark.parametrize("orientation", ["RAS", "LAS", "PSR", "LPI", "ASR"])
def test_every_frame_lies_where_a_single_image_would(tmp_path: Path, orientation: str) -> None:
    image = read_nifti_dynamic(write(tmp_path / "a.nii.gz", orientation))

    dynamic = image.dynamic
    assert dynamic is not None and dynamic.frames.dtype == np.int16
    for t, frame in enumerate(dynamic.frames):
        (at,) = np.argwhere(frame == 500 + t)
        world = image.stack.to_world(at)
        np.testing.assert_allclose(world, (-8.0, -8.0, 20.0), atol=1e-5)
    np.testing.assert_allclose(image.stack.voxels, dynamic.frames.mean(axis=0), atol=1e-3)


def test_values_that_are_no_number_or_below_air_count_as_air(tmp_path: Path) -> None:
    values = np.stack([volume(0), volume(1)], axis=-1).astype(np.float32)
    values[0, 0, 0] = (np.nan, -3000)
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 1.5
    nib.save(image, tmp_path / "a.nii")

    dynamic = read_nifti_dynamic(tmp_path / "a.nii").dynamic

    assert dynamic is not None and dynamic.frames.min() == -1024


@pytest.mark.parametrize(
    ("step", "unit", "last_s"),
    [(2.0, "sec", 8.0), (1500.0, "msec", 6.0), (1.0, "unknown", 4.0)],
)
def test_the_header_says_when_frames_were_taken(
    tmp_path: Path, step: float, unit: str, last_s: float
) -> None:
    assert times(read_nifti_dynamic(write(tmp_path / "a.nii", step=step, unit=unit)))[-1] == last_s


SIDECARS: list[tuple[dict[str, Any], list[float]]] = [
    ({"VolumeTiming": [0, 1, 2, 4, 8]}, [0, 1, 2, 4, 8]),
    ({"FrameTimesStart": [3, 4, 5, 6, 7.5]}, [0, 1, 2, 3, 4.5]),
    ({"RepetitionTime": 1.25}, [0, 1.25, 2.5, 3.75, 5]),
    ({"Manufacturer": "x"}, [0, 2, 4, 6, 8]),
]


@pytest.mark.parametrize(("stated", "expected_s"), SIDECARS)
def test_a_sidecar_goes_before_the_header(
    tmp_path: Path, stated: dict[str, Any], expected_s: list[float]
) -> None:
    sidecar = tmp_path / "a.json"
    sidecar.write_text(json.dumps(stated))

    assert times(read_nifti_dynamic(write(tmp_path / "a.nii"), sidecar)) == expected_s


def test_given_times_go_before_everything(tmp_path: Path) -> None:
    given = [1.0, 2.0, 3.0, 5.0, 8.0]

    assert times(read_nifti_dynamic(write(tmp_path / "a.nii"), None, given)) == [0, 1, 2, 4, 7]


@pytest.mark.parametrize(
    ("step", "given", "said"),
    [
        (0.0, (), "doesn't say when"),
        (1000.0, (), "doesn't say when"),
        (2.0, (1.0, 2.0), "2 times are given for 5 frames"),
        (2.0, (1.0, 2.0, 2.0, 3.0, 4.0), "don't rise"),
    ],
)
def test_times_that_are_missing_or_do_not_fit_are_refused(
    tmp_path: Path, step: float, given: tuple[float, ...], said: str
) -> None:
    with pytest.raises(UnsuitableSeries, match=said):
        read_nifti_dynamic(write(tmp_path / "a.nii", step=step), None, given)


def test_a_sidecar_that_is_no_json_is_refused(tmp_path: Path) -> None:
    sidecar = tmp_path / "a.json"
    sidecar.write_text("{")

    with pytest.raises(UnsuitableSeries, match="JSON"):
        read_nifti_dynamic(write(tmp_path / "a.nii"), sidecar)


def test_images_of_the_other_dimension_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nib.save(nib.Nifti1Image(volume(0), np.eye(4)), tmp_path / "still.nii")
    moving = write(tmp_path / "moving.nii")

    assert is_in_time(moving) and not is_in_time(tmp_path / "still.nii")
    with pytest.raises(UnsuitableSeries, match="in time"):
        read_nifti_dynamic(tmp_path / "still.nii")
    with pytest.raises(UnsuitableSeries, match="three-dimensional"):
        read_nifti(moving)
    monkeypatch.setattr(series, "MOST_BYTES", 1000)
    with pytest.raises(UnsuitableSeries, match="memory"):
        read_nifti_dynamic(moving)


def test_a_file_that_ends_early_can_not_be_decoded(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nii")
    path.write_bytes(path.read_bytes()[:2000])

    with pytest.raises(DecodingError):
        read_nifti_dynamic(path)


def test_a_map_has_its_unit_and_keeps_values_below_air(tmp_path: Path) -> None:
    values = np.linspace(-5, 60, 12 * 14 * 6, dtype=np.float32).reshape(12, 14, 6)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0])), tmp_path / "a_cbf.nii.gz")

    image = read_nifti_map(tmp_path / "a_cbf.nii.gz", "cbf")

    assert (image.unit, image.stack.voxels.dtype) == ("mL/(100.g)/min", np.float32)
    assert sorted(image.stack.voxels.ravel()) == pytest.approx(sorted(values.ravel()))
    assert {item.code for item in image.acquisition.source_items} >= {"MAP_UNIT_ASSUMED"}
