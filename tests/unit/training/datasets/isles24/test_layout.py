from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.unit.training.datasets.isles24.tree import copy_of, path_of, subject_of
from willis_training.datasets.isles24.layout import open_isles24
from willis_training.datasets.isles24.phenotype import minutes_of, rows_of
from willis_training.datasets.kinds import open_data_set


def test_each_case_has_its_images_its_infarct_and_its_table(with_series: Path) -> None:
    (subject,) = open_data_set("isles24", with_series).subjects()
    assert set(subject.images) == {"ncct", "cta", "ctp", "cbf", "cbv", "mtt", "tmax"}
    assert subject.images["ncct"].parts[-4:-1] == ("raw_data", "sub-stroke0001", "ses-01")
    assert "derivatives" in subject.images["tmax"].parts
    assert subject.label is not None and subject.label.name.endswith("space-ncct_lesion-msk.nii.gz")
    assert subject.dynamic == {"ctp"} and subject.absent == ()
    assert subject.site == "centre_2"
    assert {"age", "sex", "nihss", "mrs_3_months", "onset_to_door_min"} <= set(subject.facts)


@pytest.mark.parametrize("level", [".", "..", "derivatives", "raw_data"])
def test_the_data_set_opens_at_any_level(drawn: Path, level: str) -> None:
    assert len(open_isles24((drawn / level).resolve()).subjects()) == 6


def test_batches_of_the_challenge_are_one_data_set(drawn: Path, tmp_path: Path) -> None:
    first = copy_of(drawn, tmp_path).rename(tmp_path / "batch_1")
    for folder in ("raw_data", "derivatives", "phenotype"):
        for case in ("sub-stroke0004", "sub-stroke0005", "sub-stroke0006"):
            (tmp_path / "batch_2" / folder).mkdir(parents=True, exist_ok=True)
            shutil.move(first / folder / case, tmp_path / "batch_2" / folder / case)
    found = [subject.subject_id for subject in open_isles24(tmp_path).subjects()]
    assert found == [f"sub-stroke{n:04d}" for n in range(1, 7)]


def test_published_variants_of_the_names_are_read(train: Path) -> None:
    for path in sorted(train.rglob("*"), reverse=True):
        older = path.name.replace("sub-stroke", "sub-strokecase").replace("ses-0", "ses-000")
        path.rename(path.with_name(older.replace("space-ncct_lesion", "lesion")))
    (train / "raw_data").rename(train / "rawdata")
    (subject,) = open_isles24(train).subjects()
    assert subject.subject_id == "sub-strokecase0001"
    assert len(subject.images) == 7 and subject.label is not None
    assert "nihss" in subject.facts


def test_the_mask_in_ncct_space_comes_before_another_one(train: Path) -> None:
    mask = path_of(train, "lesion-msk.nii.gz")
    shutil.copy(mask, mask.with_name("sub-stroke0001_ses-02_lesion-msk.nii.gz"))
    assert subject_of(train).label == mask


def test_raw_maps_stand_in_where_no_registered_one_is(train: Path) -> None:
    registered = path_of(train, "_tmax.nii.gz")
    raw = train / "raw_data/sub-stroke0001/ses-01/perfusion-maps/sub-stroke0001_ses-01_tmax.nii.gz"
    raw.parent.mkdir()
    registered.rename(raw)
    assert subject_of(train).images["tmax"] == raw


def test_a_missing_map_and_missing_tables_are_named(train: Path) -> None:
    path_of(train, "_tmax.nii.gz").unlink()
    shutil.rmtree(train / "phenotype")
    subject = subject_of(train)
    assert subject.absent == ("tmax", "facts") and subject.site is None


def test_a_folder_without_cases_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Give the unpacked `train` folder"):
        open_isles24(tmp_path)


def test_a_table_holds_only_what_is_on_the_list(train: Path) -> None:
    table = path_of(train, "demographic_baseline.csv")
    table.write_text("Center,Name,Age,NIHSS at admission\n2,Nobody,71,\n")
    facts = subject_of(train).facts
    assert facts["age"] == 71.0 and "nihss" not in facts
    assert "Nobody" not in facts.values()


def workbook(path: Path, head: list[str], row: list[str | float]) -> None:
    """A workbook as spreadsheets write it: shared strings for words, numbers as they are."""
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    words = [*head, *(cell for cell in row if isinstance(cell, str))]
    strings = "".join(f"<si><t>{word}</t></si>" for word in words)
    columns = "ABCDEFGH"

    def cell(place: str, value: str | float) -> str:
        if isinstance(value, str):
            return f'<c r="{place}" t="s"><v>{words.index(value)}</v></c>'
        return f'<c r="{place}"><v>{value}</v></c>'

    rows = "".join(
        f'<row r="{n}">'
        + "".join(cell(f"{columns[c]}{n}", value) for c, value in enumerate(line))
        + "</row>"
        for n, line in enumerate((head, row), start=1)
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{strings}</sst>")
        archive.writestr(
            "xl/worksheets/sheet1.xml",
            f"<worksheet {space}><sheetData>{rows}</sheetData></worksheet>",
        )


def test_tables_of_the_later_release_are_workbooks(train: Path) -> None:
    table = path_of(train, "demographic_baseline.csv")
    head = ["Center", "Age", "Sex", "NIHSS at admission", "Onset to door"]
    workbook(table.with_suffix(".xlsx"), head, [1, 64, "F", 13, 0.0625])
    table.unlink()
    subject = subject_of(train)
    assert subject.site == "centre_1"
    assert (subject.facts["age"], subject.facts["nihss"]) == (64.0, 13.0)
    assert subject.facts["onset_to_door_min"] == 90.0


def test_a_damaged_table_says_nothing(tmp_path: Path) -> None:
    for name, content in (
        ("a.xlsx", b"PK no workbook"),
        ("b.csv", b"\xff\xfe\x00"),
        ("c.txt", b""),
    ):
        (tmp_path / name).write_bytes(content)
        assert rows_of(tmp_path / name) == []


@pytest.mark.parametrize(
    ("cell", "minutes"), [("1:30:00", 90.0), ("0:25", 25.0), ("0.5", 720.0), ("n/a", None)]
)
def test_times_are_minutes(cell: str, minutes: float | None) -> None:
    assert minutes_of(cell) == minutes
