"""The DICOM study reads as a perfusion scan: every slice at every time, each with its own time."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from tests.unit.training.simulation.ctp.test_perfusion import QUIET, scan
from willis_training.simulation.ctp.dicom_study import StudyParts, write_study
from willis_training.simulation.ctp.perfusion import SimulatedPerfusion
from willis_training.simulation.dicom_series import StudyLabel, Subject, round_field

SUBJECT = Subject("Test^Simulated", "SIM-2", "19500601", 75, "O")
LABEL = StudyLabel("ctp test", "SIMULATED CT perfusion", "", "20260105", "081500")


@cache
def study() -> SimulatedPerfusion:
    from dataclasses import replace

    return scan(replace(QUIET, whole_hu=True, duration_s=12.0, slices=4))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Dataset]]:
    folder = tmp_path_factory.mktemp("study")
    files = write_study(study(), SUBJECT, LABEL, folder, StudyParts(maps=True))
    return {name: [dcmread(path) for path in paths] for name, paths in files.items()}


def seconds(clock: str) -> float:
    return 3600 * int(clock[:2]) + 60 * int(clock[2:4]) + float(clock[4:])


def test_there_is_one_image_for_each_slice_and_time(written: dict[str, list[Dataset]]) -> None:
    times, slices = study().dynamic.frames.shape[:2]

    positions = {
        (d.TemporalPositionIdentifier, tuple(d.ImagePositionPatient)) for d in written["ctp"]
    }
    assert len(written["ctp"]) == len(positions) == times * slices
    assert {d.NumberOfTemporalPositions for d in written["ctp"]} == {times}


def test_acquisition_times_are_those_of_the_scan(written: dict[str, list[Dataset]]) -> None:
    times = study().dynamic.times_s
    slices = times.shape[1]
    for n in (0, 1, slices, 3 * slices + 2):
        t, k = divmod(n, slices)
        clock = seconds(written["ctp"][n].AcquisitionTime)
        first = seconds(written["ctp"][0].AcquisitionTime)
        assert clock - first == pytest.approx(times[t, k] - times[0, 0], abs=0.002)


def test_pixels_come_back_as_they_were(written: dict[str, list[Dataset]]) -> None:
    dynamic = study().dynamic
    slices = dynamic.frames.shape[1]
    inside = round_field(*dynamic.frames.shape[2:])

    found = written["ctp"][2 * slices + 1].pixel_array
    np.testing.assert_array_equal(found[inside], dynamic.frames[2, 1][inside])


def test_it_says_what_it_is(written: dict[str, list[Dataset]]) -> None:
    dataset = written["ctp"][0]

    assert dataset.SeriesDescription == "CT PERFUSION HEAD"
    assert dataset.KVP == 80
    assert dataset.ContrastBolusAgent
    assert dataset.QualityControlSubject == "YES"
    assert "ContrastBolusAgent" not in written["ncct"][0]


def test_series_of_one_study_share_their_frame_of_reference(
    written: dict[str, list[Dataset]],
) -> None:
    firsts = [datasets[0] for datasets in written.values()]

    assert len({d.StudyInstanceUID for d in firsts}) == 1
    assert len({d.FrameOfReferenceUID for d in firsts}) == 1
    assert len({d.SeriesInstanceUID for d in firsts}) == len(written)
    uids = [d.SOPInstanceUID for datasets in written.values() for d in datasets]
    assert len(set(uids)) == len(uids)


def test_maps_are_derived_and_in_their_units(written: dict[str, list[Dataset]]) -> None:
    dataset = written["cbf"][2]
    inside = round_field(dataset.Rows, dataset.Columns)
    found = dataset.pixel_array * float(dataset.RescaleSlope)

    assert dataset.ImageType[0] == "DERIVED"
    np.testing.assert_allclose(found[inside], study().truth.cbf[2][inside], atol=0.06)
    assert set(written) == {"ncct", "cta", "ctp", "cbf", "cbv", "mtt", "tmax"}


def test_without_temporal_positions_the_acquisition_number_tells_time_points_apart(
    tmp_path: Path,
) -> None:
    parts = StudyParts(ncct=False, cta=False, temporal_positions=False)
    files = write_study(study(), SUBJECT, LABEL, tmp_path, parts)
    datasets = [dcmread(path, stop_before_pixels=True) for path in files["ctp"]]

    assert list(files) == ["ctp"]
    assert not any("TemporalPositionIdentifier" in d for d in datasets)
    times = len(study().dynamic.frames)
    assert [d.AcquisitionNumber for d in datasets[:: len(datasets) // times]] == list(
        range(1, times + 1)
    )
