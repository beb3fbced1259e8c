"""Parametric maps over DICOMweb: their pixels are floating-point numbers under another tag."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.infarct_findings import infarct_analysis
from tests.plain_series import plain_series
from tests.synthetic_ct import write_ct_series
from willis_models.errors import UnknownObject
from willis_service.adapters.dicom.frames import DicomPixels
from willis_service.adapters.dicom.header_json import read_file_header
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment

FLOAT_PIXELS = "7FE00008"


@pytest.fixture(scope="module")
def tmax(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    series = plain_series(write_ct_series(folder / "ct", shape=(6, 20, 20), slice_step_mm=12.0))
    analysis = infarct_analysis(series.image.stack)
    result = next(one for one in analysis.maps if one.key == "tmax")
    created = datetime(2026, 3, 4, tzinfo=UTC)
    made = write_map(result, analysis.findings, series, Equipment("1", "site"), created=created)
    made.save_as(folder / "tmax.dcm", enforce_file_format=True)
    return folder / "tmax.dcm"


def test_the_header_says_where_the_float_pixels_are(tmax: Path) -> None:
    attributes = read_file_header(tmax, "https://site/bulk").attributes

    assert attributes[FLOAT_PIXELS] == {
        "vr": "OF",
        "BulkDataURI": f"https://site/bulk/bulkdata/{FLOAT_PIXELS}",
    }
    assert "7FE00010" not in attributes


def test_a_frame_comes_as_four_bytes_a_value(tmax: Path) -> None:
    frames = DicomPixels().frames(tmax, [2, 5], decoded=True)
    given = [np.frombuffer(part, "<f4").reshape(20, 20) for part in frames.parts]

    stored = dcmread(tmax).pixel_array
    assert np.array_equal(given, stored[[1, 4]])


def test_the_long_value_is_every_frame(tmax: Path) -> None:
    content = DicomPixels().bulk(tmax, FLOAT_PIXELS)

    assert content == dcmread(tmax).FloatPixelData


def test_there_are_no_integer_pixels_to_ask_for(tmax: Path) -> None:
    with pytest.raises(UnknownObject):
        DicomPixels().bulk(tmax, "7FE00010")


def test_a_map_can_be_looked_at_in_its_window(tmax: Path) -> None:
    picture = Image.open(BytesIO(DicomPixels().rendered(tmax, 3, "image/png")))
    shown, values = np.asarray(picture), dcmread(tmax).pixel_array[2]

    assert shown.shape == (20, 20)
    assert (shown[values < 0] == 0).all()
    assert shown[values > 11.6].min() > shown[(values > 0) & (values < 2)].max()
