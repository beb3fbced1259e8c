"""Parametric maps: what they say, and that what disagrees with the memory does not leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.infarct_findings import CENTRE_LPS_MM, infarct_analysis, infarct_findings
from tests.plain_series import plain_series
from tests.synthetic_ct import SAGITTAL, write_ct_series
from willis_models.errors import ResultError, RoundTripMismatch
from willis_models.pipelines.base import ResultMap
from willis_service.adapters.dicom.parametric_map import padding_value, write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.verify_map import verify_map

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
SMALL = (8, 24, 24)
STACKS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tilted": {"tilt_deg": 18.5},
    "rows run to the patient's right": {"orientation": (-1, 0, 0, 0, 1, 0)},
    "feet at the top of the stack": {"orientation": (-1, 0, 0, 0, -1, 0)},
    "sagittal": {"orientation": SAGITTAL},
    "enhanced, frames out of order": {"enhanced": True},
}


def maps_on(series: DicomSeries) -> dict[str, ResultMap]:
    return {one.key: one for one in infarct_analysis(series.image.stack).maps}


def written(result: ResultMap, series: DicomSeries, path: Path) -> Dataset:
    made = write_map(result, infarct_findings(), series, EQUIPMENT, created=CREATED)
    made.save_as(path, enforce_file_format=True)
    return dcmread(path)


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> DicomSeries:
    folder = tmp_path_factory.mktemp("ct")
    return plain_series(write_ct_series(folder, shape=SMALL, slice_step_mm=10.0))


@pytest.fixture(scope="module")
def tmax(series: DicomSeries, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return written(maps_on(series)["tmax"], series, tmp_path_factory.mktemp("map") / "tmax.dcm")


@pytest.mark.parametrize(
    ("key", "quantity", "unit"),
    [
        ("cbf", "113055", "mL/(100.g)/min"),
        ("cbv", "113056", "mL/(100.g)"),
        ("mtt", "113052", "s"),
        ("tmax", "113084", "s"),
        ("ttp", "113069", "s"),
    ],
)
def test_each_map_has_its_quantity_and_unit_coded(series, tmp_path, key, quantity, unit):
    made = written(maps_on(series)[key], series, tmp_path / "map.dcm")
    (mapping,) = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence

    coded = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (coded.CodeValue, coded.CodingSchemeDesignator) == (quantity, "DCM")
    (measured,) = mapping.MeasurementUnitsCodeSequence
    assert (measured.CodeValue, measured.CodingSchemeDesignator) == (unit, "UCUM")
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.LUTLabel == key.upper()


def test_values_are_stored_as_they_are_and_no_value_as_padding(series, tmax):
    heights = [
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in tmax.PerFrameFunctionalGroupsSequence
    ]
    stored = np.asarray(tmax.pixel_array)[np.argsort(heights)]
    values = maps_on(series)["tmax"].values

    assert stored.dtype == np.float32
    assert np.isfinite(stored).all()
    outside = np.isnan(values)
    assert outside.any() and (stored[outside] == tmax.FloatPixelPaddingValue).all()
    assert np.array_equal(stored[~outside], values[~outside])


def test_the_padding_is_below_every_value_and_outside_the_mapped_range(series, tmax):
    (mapping,) = tmax.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence

    assert tmax.FloatPixelPaddingValue == -1.0
    assert mapping.DoubleFloatRealWorldValueFirstValueMapped >= 0.0
    assert padding_value(np.float32([np.nan, -3.5, 2.0])) == -5.0
    assert padding_value(np.float32([np.nan, -0.5])) == -2.0


def test_it_lies_in_the_sources_study_and_frame_of_reference(series, tmax):
    source = series.headers[0]

    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert tmax[keyword].value == source[keyword].value
    assert tmax.SeriesInstanceUID != source.SeriesInstanceUID
    (referenced,) = tmax.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == source.SeriesInstanceUID
    assert tmax.NumberOfFrames == len(series.headers)


def test_a_left_lesion_is_slow_on_the_patients_left(tmax):
    """DICOM LPS: +x is patient left; taken from the object itself."""
    cosines = tmax.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    spacing = tmax.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    step_x = float(cosines.ImageOrientationPatient[0]) * float(spacing[1])
    columns = np.nonzero(np.asarray(tmax.pixel_array) > 6)[2]
    position = tmax.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    x_mm = float(position.ImagePositionPatient[0]) + columns.mean() * step_x

    assert x_mm == pytest.approx(CENTRE_LPS_MM[0], abs=4.0)


def test_it_says_that_it_is_for_research_only_and_opens_in_a_fitting_window(tmax):
    assert tmax.ContentQualification == "RESEARCH"
    assert "research use only" in tmax.ContentDescription.lower()
    assert tmax.SeriesDescription == "Willis infarct TMAX - research use only"
    (window,) = tmax.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (6.0, 12.0)


def test_each_map_is_a_series_of_its_own_and_a_rerun_gives_the_same_objects(series):
    def identities() -> list[tuple[str, str, int]]:
        made = [
            write_map(one, infarct_findings(), series, EQUIPMENT, created=CREATED)
            for one in maps_on(series).values()
        ]
        return [(m.SOPInstanceUID, m.SeriesInstanceUID, int(m.SeriesNumber)) for m in made]

    first = identities()

    assert first == identities()
    assert len({series_uid for _, series_uid, _ in first}) == 5
    assert [number for _, _, number in first] == [211, 212, 213, 214, 215]


@pytest.mark.parametrize("stack", STACKS)
def test_maps_of_any_geometry_pass(tmp_path, stack):
    paths = write_ct_series(tmp_path / "ct", shape=SMALL, slice_step_mm=10.0, **STACKS[stack])
    series = plain_series(paths)
    result = maps_on(series)["cbf"]

    verify_map(written(result, series, tmp_path / "cbf.dcm"), result, series)


def _shift(values: np.ndarray) -> np.ndarray:
    return np.roll(values, 1, axis=2)


def _flip(values: np.ndarray) -> np.ndarray:
    return values[:, :, ::-1]


def _nudge(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    k, j, i = np.argwhere(~np.isnan(values))[0]
    changed[k, j, i] += np.float32(0.001)
    return changed


def _fill_one_hole(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    k, j, i = np.argwhere(np.isnan(values))[0]
    changed[k, j, i] = 0.0
    return changed


@pytest.mark.parametrize("change", [_shift, _flip, _nudge, _fill_one_hole])
def test_a_map_with_other_values_does_not_leave(
    series, tmax, change: Callable[[np.ndarray], np.ndarray]
):
    result = maps_on(series)["tmax"]

    with pytest.raises(RoundTripMismatch, match="other values"):
        verify_map(tmax, replace(result, values=change(result.values)), series)


def _other_unit(made: Dataset) -> None:
    groups = made.SharedFunctionalGroupsSequence[0]
    groups.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = "ms"


def _rescaled(made: Dataset) -> None:
    groups = made.SharedFunctionalGroupsSequence[0]
    groups.RealWorldValueMappingSequence[0].RealWorldValueSlope = 2.0


def _moved(made: Dataset) -> None:
    place = made.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    place.ImagePositionPatient = [float(x) + 7.0 for x in place.ImagePositionPatient]


def _other_source(made: Dataset) -> None:
    (derivation,) = made.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    derivation.SourceImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def _mapped_padding(made: Dataset) -> None:
    groups = made.SharedFunctionalGroupsSequence[0]
    groups.RealWorldValueMappingSequence[0].DoubleFloatRealWorldValueFirstValueMapped = -9.0


@pytest.mark.parametrize("edit", [_other_unit, _rescaled, _moved, _other_source, _mapped_padding])
def test_a_map_whose_header_is_wrong_does_not_leave(
    series, tmp_path, edit: Callable[[Dataset], None]
):
    result = maps_on(series)["tmax"]
    made = written(result, series, tmp_path / "map.dcm")
    edit(made)

    with pytest.raises(RoundTripMismatch):
        verify_map(made, result, series)


@pytest.mark.parametrize(
    "values",
    [
        np.full(SMALL, np.nan, np.float32),
        np.where(np.arange(8)[:, None, None] == 3, np.inf, np.ones(SMALL)).astype(np.float32),
        np.ones((4, 24, 24), np.float32),
    ],
    ids=["nothing", "infinite", "another shape"],
)
def test_a_map_that_can_not_be_meant_is_not_written(series, values):
    with pytest.raises(ResultError):
        write_map(
            ResultMap("cbf", values, "mL/(100.g)/min"),
            infarct_findings(),
            series,
            EQUIPMENT,
            created=CREATED,
        )
