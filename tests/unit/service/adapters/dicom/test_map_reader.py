"""Ready maps: which one it is, its unit, and its values in that unit."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from highdicom.sr import CodedConcept
from pydicom import Dataset, dcmread

from tests.synthetic_ct import write_ct_series
from tests.synthetic_ctp import PIXEL_MM, STEP_MM, write_map
from willis_models.codes import MAP_UNITS, MAPS, UNITS
from willis_models.errors import DuplicateSlices, MissingSlices, UnsuitableSeries
from willis_service.adapters.dicom.files import SeriesListing, scan
from willis_service.adapters.dicom.map_reader import read_map
from willis_service.adapters.dicom.map_traits import (
    OWN_MANUFACTURER,
    factor_of,
    is_own_map,
    map_of,
)
from willis_service.adapters.dicom.result_headers import Equipment

VALUES = [np.arange(256, dtype=float).reshape(16, 16) / 10 + k for k in range(4)]


def listing(folder: Path, **given: Any) -> SeriesListing:
    write_map(folder, VALUES, **given)
    (one,) = scan([folder])
    return one


@pytest.mark.parametrize(
    ("key", "stated", "factor"),
    [
        ("cbf", "ml/100g/min", 1.0),
        ("cbf", "mL/100mL/min", 1 / 1.05),
        ("cbf", "ml/min/100g", 1.0),
        ("cbf", "mL/(100.g)/min", 1.0),
        ("cbf", "ml/(100g*min)", 1.0),
        ("cbv", "ml/100g", 1.0),
        ("cbv", "ML/100ML", 1 / 1.05),
        ("tmax", "s", 1.0),
        ("mtt", "sec", 1.0),
        ("tmax", "ms", 0.001),
        ("tmax", "0.1 s", 0.1),
        ("cbf", "ml/100g", None),
        ("cbv", "%", None),
        ("tmax", "min", None),
        ("mtt", "ml/100g/min", None),
    ],
)
def test_a_stated_unit_is_known_or_refused(key: str, stated: str, factor: float | None) -> None:
    assert factor_of(stated, key) == factor


def test_every_map_and_unit_has_its_code() -> None:
    assert set(MAP_UNITS) == set(MAPS)
    assert set(MAP_UNITS.values()) <= set(UNITS)


def test_values_are_brought_to_the_unit(tmp_path: Path) -> None:
    image = read_map(listing(tmp_path, description="Tmax", rescale_type="ms")).image

    assert image.unit == "s" and image.dynamic is None
    np.testing.assert_allclose(image.stack.voxels, np.array(VALUES) / 1000, atol=1e-6)
    assert image.stack.pixel_spacing_mm == (PIXEL_MM, PIXEL_MM)
    np.testing.assert_allclose(image.stack.slice_steps_mm, STEP_MM)
    (item,) = (i for i in image.acquisition.source_items if i.code == "MAP_READ")
    assert "from ms to s" in item.message


def test_padding_says_nothing(tmp_path: Path) -> None:
    one = listing(tmp_path, description="CBV [ml/100g]", overrides={"PixelPaddingValue": 5})

    voxels = read_map(one).image.stack.voxels

    assert np.isnan(voxels[0, 0, 5]) and np.isfinite(voxels).sum() == voxels.size - 1


def test_a_real_world_mapping_goes_before_the_rescaling(tmp_path: Path) -> None:
    unit, concept, quantity, mapping = (Dataset() for _ in range(4))
    unit.CodeValue, concept.CodeValue = "mL/(100.g)/min", MAPS["cbf"].value
    quantity.ConceptCodeSequence, mapping.QuantityDefinitionSequence = [concept], [quantity]
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.2, 1.0
    stated = {"RealWorldValueMappingSequence": [mapping]}

    image = read_map(listing(tmp_path, description="7", overrides=stated)).image

    np.testing.assert_allclose(image.stack.voxels, np.array(VALUES) * 2 + 1, atol=1e-4)


def test_a_parametric_map_object_is_read_with_its_floating_point_values(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "ct", shape=(12, 16, 16), tilt_deg=10.0)
    sources = sorted(map(dcmread, files), key=lambda one: float(one.ImagePositionPatient[2]))
    values = np.random.default_rng(1).random((12, 16, 16)).astype(np.float32) * 60
    _parametric_map(sources, values).save_as(tmp_path / "map.dcm")
    (one,) = scan([tmp_path / "map.dcm"])

    series = read_map(one)

    assert series.image.unit == MAP_UNITS["cbf"]
    np.testing.assert_array_equal(series.image.stack.voxels, values)
    assert is_own_map(one.headers[0])


def _parametric_map(sources: list[Dataset], values: np.ndarray) -> Dataset:
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="CBF",
        lut_explanation="Cerebral blood flow",
        unit=CodedConcept("mL/(100.g)/min", "UCUM", "flow"),
        value_range=(0.0, 1000.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=CodedConcept(MAPS["cbf"].value, "DCM", MAPS["cbf"].meaning),
    )
    return hd.pm.ParametricMap(
        source_images=sources,
        pixel_array=values,
        series_instance_uid=hd.UID(),
        series_number=5,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=OWN_MANUFACTURER,
        manufacturer_model_name="model",
        software_versions="1",
        device_serial_number="1",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(30.0, 60.0)],
        content_date=datetime(2024, 1, 15).date(),
    )


def test_our_own_maps_are_known_by_the_maker_that_we_write() -> None:
    assert Equipment("1", "1").manufacturer == OWN_MANUFACTURER


@pytest.mark.parametrize("given", [{"description": "CT HEAD"}, {"description": "CBF"}])
def test_what_is_no_map_or_has_no_unit_is_not_read(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(UnsuitableSeries):
        read_map(listing(tmp_path, **given))


def test_a_gap_and_two_images_of_one_place_are_refused(tmp_path: Path) -> None:
    known = {"description": "MTT", "rescale_type": "s"}
    paths = write_map(tmp_path / "gap", [*VALUES, *VALUES], **known)
    paths[3].unlink()
    write_map(tmp_path / "twice", VALUES, **known)
    write_map(tmp_path / "twice", [one + 1 for one in VALUES], seed="other", **known)
    for path in (tmp_path / "twice").iterdir():
        dataset = dcmread(path)
        dataset.SeriesInstanceUID = "1.2.3"
        dataset.save_as(path)

    for name, error in (("gap", MissingSlices), ("twice", DuplicateSlices)):
        (one,) = scan([tmp_path / name])
        with pytest.raises(error):
            read_map(one)


@pytest.mark.parametrize(
    ("description", "key"),
    [
        ("RAPID_Tmax_[s]", "tmax"),
        ("RAPID_rCBF", "cbf"),
        ("rCBV map", "cbv"),
        ("Mean transit time", "mtt"),
        ("Blood Flow", "cbf"),
        ("TTP", "ttp"),
        ("CBF/CBV/MTT", None),
        ("CT HEAD 5.0", None),
    ],
)
def test_descriptions_name_maps(tmp_path: Path, description: str, key: str | None) -> None:
    traits = map_of(listing(tmp_path, description=description))

    assert (None if traits is None else traits.key) == key
