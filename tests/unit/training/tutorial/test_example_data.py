from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_models.codes import ASPECTS_REGIONS
from willis_models.imaging.resample import lps_grid
from willis_models.volume import Volume
from willis_training.curation.dicom_ct import read_axial_ct
from willis_training.datasets.kinds import open_data_set
from willis_training.datasets.loading import load_pair
from willis_training.datasets.survey import survey
from willis_training.simulation.archive.heads import REGIONS, BaseHead, Protocol
from willis_training.tutorial.example_data import ExampleData, write_example_data

GRID = lps_grid((24, 28, 24), 8.0, (-92.0, -108.0, -92.0))
PROTOCOL = Protocol(slices=6, step_mm=20.0, matrix=32, field_of_view_mm=220.0)


def block_head() -> BaseHead:
    """A brain of 35 HU; each region a block, 1-10 at patient left (high x)."""
    hu = np.full(GRID.shape, -1000.0, dtype=np.float32)
    hu[3:-3, 3:-3, 3:-3] = 35.0
    soft = np.zeros((REGIONS, *GRID.shape), dtype=np.float32)
    for n in range(10):
        z, y = 5 + 7 * (n // 5), 4 + 4 * (n % 5)
        soft[n, z : z + 7, y : y + 4, 14:20] = 1.0
        soft[n + 10, z : z + 7, y : y + 4, 4:10] = 1.0
    return BaseHead(Volume(hu, GRID.affine_lps), soft)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> ExampleData:
    folder = tmp_path_factory.mktemp("example")
    return write_example_data(block_head(), folder, 3, seed=1, protocol=PROTOCOL)


def test_it_is_a_data_set_that_opens_and_has_no_fault(written: ExampleData) -> None:
    data_set = open_data_set("bids", written.bids)
    subjects = data_set.subjects()
    assert [subject.subject_id for subject in subjects] == ["sub-01", "sub-02", "sub-03"]
    assert data_set.label_names[1] == f"left_{ASPECTS_REGIONS[0]}"
    assert len(data_set.label_names) == 21
    assert not survey(data_set).faults()


def test_left_regions_lie_on_the_patients_left(written: ExampleData) -> None:
    for subject in open_data_set("bids", written.bids).subjects():
        _, labels = load_pair(subject, "ncct")
        present = set(np.unique(labels.voxels)) - {0}
        assert len(present) > 15
        for label in present:
            where = labels.grid.to_world(np.argwhere(labels.voxels == label))
            assert (where[:, 0].mean() > 0) == (label <= 10)


def test_subjects_differ_and_their_labels_follow_their_image(written: ExampleData) -> None:
    pairs = [load_pair(s, "ncct") for s in open_data_set("bids", written.bids).subjects()]
    first, second = (labels.voxels for _, labels in pairs[:2])
    assert (first != second).mean() > 0.01
    for image, labels in pairs:
        assert np.median(image.voxels[labels.voxels > 0]) == pytest.approx(35.0, abs=2.0)


def test_the_unseen_subject_is_one_ct_series(written: ExampleData) -> None:
    found = read_axial_ct(written.series)
    assert found.stack.shape == (6, 32, 32)
    assert found.acquisition is not None
    assert found.acquisition.modality == "CT"


def test_the_same_seed_gives_the_same_files(written: ExampleData, tmp_path: Path) -> None:
    again = write_example_data(block_head(), tmp_path, 3, seed=1, protocol=PROTOCOL)
    for one in (written.bids, written.series):
        names = [path for path in sorted(one.rglob("*")) if path.is_file()]
        other = again.bids if one == written.bids else again.series
        assert len(names) >= 6
        for path in names:
            assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()
