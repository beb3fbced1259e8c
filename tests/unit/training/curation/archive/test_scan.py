from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tests.synthetic_ct import write_ct_series
from willis_training.curation.archive.index import ArchiveIndex, open_index
from willis_training.curation.archive.scan import SourceUnusable, scan
from willis_training.simulation.archive.dicomdir import write_dicomdir


def write_series(folder: Path, seed: str = "1") -> list[Path]:
    return write_ct_series(folder, shape=(3, 8, 8), seed=seed)


def scanned(source: Path, index: ArchiveIndex, workers: int = 1) -> int:
    return scan(source, index, workers, lambda _more: None)


def burnt_disc(folder: Path) -> Path:
    """A disc with one series and its DICOMDIR."""
    disc = folder / "disc"
    paths = [path.rename(path.with_suffix("")) for path in write_series(disc / "SERIES")]
    write_dicomdir(disc, [(path, dcmread(path)) for path in paths])
    return disc


@pytest.fixture
def index(tmp_path: Path):
    with open_index(tmp_path / "index.sqlite") as opened:
        yield opened


def test_a_folder_tree_gives_each_series_with_its_headers(tmp_path: Path, index) -> None:
    source = tmp_path / "source"
    write_series(source / "a" / "b", "1")
    write_series(source / "c", "2")
    assert scanned(source, index) == 6
    found = list(index.series())
    assert [len(series) for series in found] == [3, 3]
    assert found[0][0][1]["Modality"] == "CT"
    assert found[0][0][1]["ImageOrientationPatient"] == [1, 0, 0, 0, 1, 0]


def test_several_processes_read_the_same(tmp_path: Path, index) -> None:
    source = tmp_path / "source"
    write_series(source)
    assert scanned(source, index, workers=2) == 3
    assert sum(map(len, index.series())) == 3


def test_a_dicomdir_names_the_files_and_a_lost_one_is_counted(tmp_path: Path, index) -> None:
    disc = burnt_disc(tmp_path)
    stray = disc / "stray.dcm"
    stray.write_bytes(b"not listed")
    lost = next(
        path
        for path in sorted(disc.rglob("*"))
        if path.is_file() and path.name not in {"DICOMDIR", "stray.dcm"}
    )
    lost.unlink()

    assert scanned(disc, index) == 3
    assert index.problems() == {"missing": 1}
    assert sum(map(len, index.series())) == 2
    assert scanned(disc / "DICOMDIR", index) == 3


def test_a_dicomdir_in_upper_case_finds_files_in_lower_case(tmp_path: Path, index) -> None:
    disc = burnt_disc(tmp_path)
    for folder, folders, names in os.walk(disc, topdown=False):
        for name in (*names, *folders):
            if name != "DICOMDIR":
                Path(folder, name).rename(Path(folder, name.lower()))
    scanned(disc, index)
    assert index.problems() == {}


def test_what_is_not_dicom_or_damaged_is_counted_and_the_rest_goes_on(
    tmp_path: Path, index
) -> None:
    source = tmp_path / "source"
    paths = write_series(source)
    (source / "notes.txt").write_text("hello")
    (source / ".hidden").write_text("hello")
    paths[0].write_bytes(paths[0].read_bytes()[:150])
    no_series = dcmread(paths[1])
    del no_series.SeriesInstanceUID
    no_series.save_as(paths[1])

    assert scanned(source, index) == 4
    assert sum(index.problems().values()) == 3
    assert sum(map(len, index.series())) == 1


def test_a_file_is_read_again_only_when_it_changed(tmp_path: Path, index, monkeypatch) -> None:
    source = tmp_path / "source"
    paths = write_series(source)
    scanned(source, index)
    read: list[str] = []
    import willis_training.curation.archive.scan as module

    original = module.read_header
    monkeypatch.setattr(
        module, "read_header", lambda path: read.append(str(path)) or original(path)
    )
    scanned(source, index)
    assert read == []

    changed: Dataset = dcmread(paths[0])
    changed.SeriesDescription = "ANOTHER DESCRIPTION"
    changed.save_as(paths[0])
    paths[1].unlink()
    scanned(source, index)

    assert read == [str(paths[0])]
    headers = [header for series in index.series() for _, header in series]
    assert len(headers) == 2
    assert "ANOTHER DESCRIPTION" in {header["SeriesDescription"] for header in headers}


@pytest.mark.parametrize("kind", ["nothing", "empty", "no directory"])
def test_a_source_that_is_none_is_refused_with_advice(tmp_path: Path, index, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "empty":
        source.mkdir()
    elif kind == "no directory":
        source.write_text("hello")
    with pytest.raises(SourceUnusable, match="source"):
        scanned(source, index)
