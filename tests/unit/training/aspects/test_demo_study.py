"""The shipped study is complete, small, honest about being simulated, and can be made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from willis_training.aspects.demo_study import HEAD, LESION, NAME, write_demo
from willis_training.datasets.head_split import TEST_HEADS
from willis_training.datasets.lesions import split


@pytest.fixture
def truth(repository: Path) -> dict:
    return json.loads((repository / "demo" / f"{NAME}_truth.json").read_text())


def test_head_and_lesion_are_test_material():
    assert HEAD in TEST_HEADS
    assert split(LESION) == "test"


def test_every_image_says_that_it_is_simulated(demo_study):
    headers = [dcmread(path, stop_before_pixels=True) for path in demo_study.glob("*.dcm")]

    assert {str(h.PatientName) for h in headers} == {"Willis^Simulated"}
    assert {h.QualityControlSubject for h in headers} == {"YES"}
    assert all("SIMULATED" in h.StudyDescription for h in headers)


def test_the_study_is_one_series_of_less_than_six_megabytes(demo_study):
    files = sorted(demo_study.iterdir())
    series = {dcmread(path, stop_before_pixels=True).SeriesInstanceUID for path in files}

    assert len(series) == 1
    assert sum(path.stat().st_size for path in files) < 6e6


def test_the_truth_names_the_regions_with_a_fifth_of_their_tissue_covered(truth):
    counted = [
        f"{region} {side}"
        for side, shares in truth["covered_share"].items()
        for region, share in shares.items()
        if share >= 0.2
    ]

    assert truth["affected_regions"] == counted
    assert truth["aspects"] == {"left": 10, "right": 10 - len(counted)}
    assert all(name.endswith("right") for name in counted)


@pytest.mark.slow
def test_the_command_makes_the_shipped_files_again(repository, tmp_path):
    cache = repository / ".cache"
    if not (cache / "heads" / f"{HEAD}.npz").exists():
        pytest.skip("the prepared heads are not in .cache (willis_training.curation.heads)")

    write_demo(cache, tmp_path)

    shipped = {p.name: p.read_bytes() for p in (repository / "demo" / NAME).iterdir()}
    assert {p.name: p.read_bytes() for p in (tmp_path / NAME).iterdir()} == shipped
