"""A whole archive through curation: what is kept, what is counted, what must never leave."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread

from tests.unit.training.curation.archive.small_archive import PLAN, job, simple_head
from willis_training.curation.archive.bids import LABEL_NAMES
from willis_training.curation.archive.curate import CurationJob, PlacesClash, curate
from willis_training.curation.archive.report import CurationReport
from willis_training.simulation.archive.truth import WrittenArchive
from willis_training.simulation.archive.write import write_archive


def quiet(_stage: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> WrittenArchive:
    return write_archive(simple_head(), PLAN, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def curated(
    archive: WrittenArchive, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CurationJob, CurationReport]:
    done = job(archive.folder, tmp_path_factory.mktemp("curated"))
    return done, curate(done, quiet)


def written(out: Path) -> dict[str, int]:
    """Every file of the data set and when it was last written."""
    return {
        str(p.relative_to(out)): p.stat().st_mtime_ns for p in out.rglob("sub-*") if p.is_file()
    }


def test_sixty_series_are_kept_or_counted_under_their_reason(curated) -> None:
    _, report = curated
    assert report.series == 60
    assert report.set_aside == PLAN.reasons
    assert report.kept == report.converted == PLAN.kept == 19
    assert not report.file_problems and not report.conversion_failures and report.copies == 0


def test_every_kept_series_is_an_image_with_a_sidecar_and_a_subject(curated) -> None:
    out = curated[0].out
    images = sorted(out.glob("sub-*/ses-*/ct/*_ct.nii.gz"))
    assert len(images) == PLAN.kept
    assert all(p.with_name(p.name.replace(".nii.gz", ".json")).is_file() for p in images)
    subjects = (out / "participants.tsv").read_text().splitlines()
    assert subjects[0].split("\t") == ["participant_id", "age_band", "sex", "sessions"]
    assert {line.split("\t")[0] for line in subjects[1:]} == {p.parts[-4] for p in images}
    assert json.loads((out / "dataset_description.json").read_text())["BIDSVersion"]


def test_nothing_in_the_data_set_names_a_patient_a_date_or_an_instance(archive, curated) -> None:
    secrets = set()
    for path in archive.folder.rglob("*"):
        if path.is_file() and path.name != "DICOMDIR":
            header = dcmread(path, stop_before_pixels=True)
            for keyword in (
                *("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"),
                *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SeriesDescription"),
            ):
                secrets.add(str(header.get(keyword, "")))
    # "HEAD" alone is a body part, and allowed.
    secrets -= {"", "HEAD"}
    assert len(secrets) > 700
    for path in curated[0].out.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("latin-1")
        shown = path.name + text
        # Long numbers and words first narrow down what is then compared one by one.
        candidates = set(re.findall(r"[A-Za-z0-9.^ -]{6,}", shown))
        assert not [s for s in secrets if any(s in one for one in candidates)], path.name


def test_days_and_age_bands_stand_for_dates(curated) -> None:
    out = curated[0].out
    rows = [
        line.split("\t")
        for path in out.glob("sub-*/sub-*_sessions.tsv")
        for line in path.read_text().splitlines()[1:]
    ]
    days = [int(day) for _, day in rows]
    assert min(days) == 0 and max(days) > 0
    bands = {
        line.split("\t")[1] for line in (out / "participants.tsv").read_text().splitlines()[1:]
    }
    assert all(re.fullmatch(r"\d\d-\d\d|90\+", band) for band in bands)


def test_an_outlined_series_comes_with_its_points_in_patient_space(archive, curated) -> None:
    out = curated[0].out
    tables = sorted(out.glob("derivatives/outlines/sub-*/ses-*/ct/*_points.tsv.gz"))
    assert len(tables) == PLAN.outlined == len(archive.truth)
    lines = gzip.decompress(tables[0].read_bytes()).decode().splitlines()
    assert lines[0].split("\t") == ["region", "side", "x_lps_mm", "y_lps_mm", "z_lps_mm"]
    left = [float(x) for _, side, x, *_ in (r.split("\t") for r in lines[1:]) if side == "left"]
    right = [float(x) for _, side, x, *_ in (r.split("\t") for r in lines[1:]) if side == "right"]
    assert np.mean(left) > 10.0 > -10.0 > np.mean(right)


def test_a_converted_image_shows_its_voxels_where_they_were_scanned(archive, curated) -> None:
    out = curated[0].out
    scans = list(archive.truth.values())
    for path in out.glob("sub-*/ses-*/ct/*_ct.nii.gz"):
        image = nib.load(path)
        first = np.asarray(image.dataobj)[:, :, 0].T
        for n, scan in enumerate(scans):
            if np.array_equal(scan.stack.voxels[0], first):
                corner = image.affine[:3, 3] * [-1, -1, 1]
                np.testing.assert_allclose(corner, scan.stack.origins_lps[0], atol=1e-3)
                del scans[n]
                break
    assert not scans


def test_a_tilted_series_says_that_it_was_straightened(curated) -> None:
    sidecars = [json.loads(p.read_text()) for p in curated[0].out.glob("sub-*/ses-*/ct/*.json")]
    assert sum(one["GantryTiltCorrected"] for one in sidecars) == 2
    assert all("Research use only" in one["IntendedUse"] for one in sidecars)


def test_the_report_counts_every_reason_and_names_no_patient(curated) -> None:
    folder = curated[0].out / "derivatives" / "curation"
    report = json.loads((folder / "report.json").read_text())
    page = (folder / "report.md").read_text()
    assert report["set_aside"] == PLAN.reasons
    assert all(f"| - set aside: {reason} | {n} |" in page for reason, n in PLAN.reasons.items())
    assert "Research use only" in page and "Performance on patients: not measured" in page


def test_a_second_run_does_nothing_again(curated) -> None:
    done, report = curated
    before = written(done.out)
    again = curate(done, quiet)
    assert again == report
    changed = {p for p, when in written(done.out).items() if before.get(p) != when}
    assert all(p.endswith("_sessions.tsv") for p in changed)


def test_a_series_that_was_lost_is_converted_again_and_one_no_longer_kept_is_removed(
    archive, curated, tmp_path: Path
) -> None:
    done = job(archive.folder, tmp_path)
    shutil.copytree(curated[0].out, done.out)
    shutil.copytree(curated[0].private, done.private)
    lost = sorted(done.out.glob("sub-*/ses-*/ct/*_ct.json"))[0]
    lost.unlink()

    curate(done, quiet)
    assert lost.is_file()

    best = done.rules.selection.model_copy(update={"keep": "best"})
    fewer = replace(done, rules=done.rules.model_copy(update={"selection": best}))
    report = curate(fewer, quiet)
    assert report.set_aside["less-suitable"] == PLAN.kept - report.kept > 0
    assert len(list(done.out.glob("sub-*/ses-*/ct/*_ct.nii.gz"))) == report.kept


def test_key_and_index_may_not_lie_inside_the_data_set(archive, tmp_path: Path) -> None:
    given_away = job(archive.folder, tmp_path)
    inside = replace(given_away, key=given_away.out / "key")
    with pytest.raises(PlacesClash, match="given away"):
        curate(inside, quiet)
    with pytest.raises(PlacesClash, match="outside the source"):
        curate(replace(given_away, out=archive.folder / "out"), quiet)


def test_the_private_folder_is_for_its_owner_only(curated) -> None:
    private = curated[0].private
    assert private.stat().st_mode & 0o077 == 0
    assert (private / "index.sqlite").stat().st_mode & 0o077 == 0
    assert (private / "pseudonym.key").stat().st_mode & 0o077 == 0


def test_the_labels_have_the_names_of_the_twenty_regions() -> None:
    assert LABEL_NAMES[1] == "C left" and LABEL_NAMES[20] == "M6 right" and len(LABEL_NAMES) == 21
