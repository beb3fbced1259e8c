from __future__ import annotations

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.unit.training.datasets.isles24.tree import path_of, report_of, spoil, subject_of
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.datasets.isles24.layout import open_isles24
from willis_training.datasets.isles24.registration import normalised_information, registration_of
from willis_training.datasets.isles24.report import registration_report, write_on_reference


def test_a_sound_case_has_nothing_to_look_at(train: Path) -> None:
    reports = {report.role: report for report in registration_of(subject_of(train))}
    assert set(reports) == {"ncct", "cta", "ctp", "cbf", "cbv", "mtt", "tmax", "lesion"}
    assert not any(report.is_suspect for report in reports.values())
    assert reports["ctp"].shape == (30, 28, 64, 64)
    assert reports["cta"].information is not None and reports["cta"].information > 0.8


@pytest.mark.parametrize(
    ("shift_mm", "towards"),
    [((0.0, 8.0, 0.0), "anterior"), ((0.0, 0.0, -12.0), "left"), ((20.0, 0.0, 0.0), "inferior")],
)
def test_a_wrong_affine_is_seen_and_the_way_back_named(
    train: Path, shift_mm: tuple[float, float, float], towards: str
) -> None:
    spoil(train, "_tmax.nii.gz", lambda v: v, shift_mm=shift_mm)
    report = report_of(train, "tmax")
    assert report.outcome == "resampled" and report.is_suspect
    assert report.apart_mm == pytest.approx(max(map(abs, shift_mm)), abs=0.01)
    assert report.towards == towards


def test_other_spacing_is_resampled_and_no_fault(train: Path) -> None:
    spoil(train, "_cbf.nii.gz", lambda v: v[:, ::2, ::2], spacing_mm=(5.0, 6.4, 6.4),
          shift_mm=(0.0, -1.6, -1.6))  # fmt: skip
    report = report_of(train, "cbf")
    assert report.outcome == "resampled" and not report.is_suspect
    assert report.spacing_mm == pytest.approx((5.0, 6.4, 6.4))


def test_a_mask_outside_the_head_is_suspect(train: Path) -> None:
    spoil(train, "lesion-msk.nii.gz", lambda v: v, shift_mm=(0.0, 0.0, 90.0))
    assert report_of(train, "lesion").is_suspect


def test_missing_truncated_and_wrong_files_are_outcomes(train: Path) -> None:
    path_of(train, "_mtt.nii.gz").unlink()
    cut = path_of(train, "_cbf.nii.gz")
    cut.write_bytes(cut.read_bytes()[:2000])
    spoil(train, "_cbv.nii.gz", lambda v: np.stack([v, v]))
    outcomes = {report.role: report for report in registration_of(subject_of(train))}
    assert outcomes["mtt"].outcome == "missing"
    assert outcomes["cbf"].outcome == "faulty" and outcomes["cbf"].note
    assert "4 axes" in outcomes["cbv"].note
    path_of(train, "_ncct.nii.gz").unlink()
    without = {report.role: report for report in registration_of(subject_of(train))}
    assert without["ncct"].outcome == "missing" and without["tmax"].note == "no NCCT"


def test_a_singular_affine_is_an_outcome(train: Path) -> None:
    path = path_of(train, "_tmax.nii.gz")
    image = nib.load(path)
    affine = image.affine.copy()
    affine[:3, 2] = 0
    broken = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
    broken.set_sform(affine, 1)
    broken.set_qform(None, 0)
    nib.save(broken, path)
    assert report_of(train, "tmax").outcome == "faulty"


def test_information_is_one_for_equal_images_and_none_for_independent_ones() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 32, (40, 40, 40)) for _ in range(2))
    assert normalised_information(one, one) == pytest.approx(1.0)
    assert normalised_information(one, other) < 0.01
    assert normalised_information(one, np.zeros_like(one)) == pytest.approx(0.0)


def test_the_report_has_every_file_and_the_statement(train: Path, tmp_path: Path) -> None:
    spoil(train, "_tmax.nii.gz", lambda v: v, shift_mm=(0.0, 12.0, 0.0))
    out, seen = tmp_path / "report", []
    reports = registration_report(
        open_isles24(train).subjects(), out, progress=lambda n, total: seen.append((n, total))
    )
    with (out / "registration.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(reports) == 8 and seen == [(1, 1)]
    assert [row["role"] for row in rows if row["suspect"] == "True"] == ["tmax"]
    page = (out / "registration.md").read_text()
    assert INTENDED_USE_STATEMENT in page and "| sub-stroke0001 | tmax | resampled |" in page


def test_copies_lie_on_the_ncct_and_the_source_is_as_it_was(train: Path, tmp_path: Path) -> None:
    spoil(train, "_tmax.nii.gz", lambda v: v[:, ::2, ::2], spacing_mm=(5.0, 6.4, 6.4))
    before = {path: path.read_bytes() for path in train.rglob("*.nii.gz")}
    written = write_on_reference(subject_of(train), train, tmp_path / "copy")
    assert {nib.load(path).shape for path in written} == {(64, 64, 28)}
    assert len(written) == 7
    copied = open_isles24(tmp_path / "copy").subjects()
    assert not any(r.outcome == "resampled" for s in copied for r in registration_of(s))
    assert {path: path.read_bytes() for path in before} == before


def test_nothing_is_written_into_the_source_or_over_a_copy(train: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lies in the data set"):
        write_on_reference(subject_of(train), train, train / "derivatives")
    write_on_reference(subject_of(train), train, tmp_path / "copy")
    with pytest.raises(ValueError, match="is there already"):
        write_on_reference(subject_of(train), train, tmp_path / "copy")
