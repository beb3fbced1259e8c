"""Labels carried to heads whose truth is known, by the whole command and at its quickest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.curation.archive.small_archive import job
from willis_training.curation.archive.bids import Layout
from willis_training.curation.archive.curate import CurationJob, curate
from willis_training.curation.archive.pseudonyms import read_or_make_key
from willis_training.curation.archive.report import CurationReport
from willis_training.curation.archive.template_head import TemplateHead, load_template
from willis_training.curation.label_transfer import dice
from willis_training.curation.nifti import read_nifti
from willis_training.datasets.kinds import open_data_set
from willis_training.simulation.archive.heads import Deformation, Protocol, head_of_template
from willis_training.simulation.archive.recovery import recovered_dice
from willis_training.simulation.archive.truth import WrittenArchive
from willis_training.simulation.archive.write import ArchivePlan, write_archive

pytestmark = pytest.mark.slow

PLAN = ArchivePlan(
    outlined=2,
    mixture=(),
    protocol=Protocol(slices=34, step_mm=5.0, matrix=128),
    deformation=Deformation(turn_deg=4.0, scale=0.04, bend_mm=2.5, bend_scale_mm=40.0),
)
QUICK = {"spacing_mm": 4.0, "iterations": (20, 10, 0), "radius": 2, "outline_iterations": (20, 4)}


def quiet(_stage: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


@pytest.fixture(scope="module")
def template() -> TemplateHead:
    return load_template()


@pytest.fixture(scope="module")
def archive(template, tmp_path_factory: pytest.TempPathFactory) -> WrittenArchive:
    head = head_of_template(template.hu, template.brain.voxels > 0, template.atlas.voxels)
    return write_archive(head, PLAN, tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def curated(
    archive, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CurationJob, CurationReport]:
    plain = job(archive.folder, tmp_path_factory.mktemp("curated"))
    quick = plain.rules.labels.registration.model_copy(update=QUICK)
    labels = plain.rules.labels.model_copy(update={"registration": quick})
    rules = plain.rules.model_copy(update={"labels": labels})
    done = replace(plain, rules=rules, with_labels=True)
    return done, curate(done, quiet)


def test_the_labels_meet_the_truth(archive, curated) -> None:
    done, _ = curated
    found = recovered_dice(archive, Layout(done.out), read_or_make_key(done.key))
    assert found.keys() == archive.truth.keys()
    dice_by_case = np.array(list(found.values()))
    assert np.nanmean(dice_by_case) >= 0.90, np.nanmean(dice_by_case, axis=0).round(2)


def test_the_second_registration_brings_the_atlas_to_what_was_drawn(curated) -> None:
    report = curated[1]
    assert report.mean_overlay_cases == PLAN.outlined
    assert np.mean(report.atlas_dice_after) > np.mean(report.atlas_dice_before) + 0.01


def test_every_case_reports_bounds_consistency_and_overlap(curated) -> None:
    done, report = curated
    assert report.labelled == len(report.cases) == PLAN.outlined
    for stem, case in report.cases.items():
        assert 0.0 < case["jacobian_min"] <= case["jacobian_p01"] < 1.0 < case["jacobian_p99"]
        assert case["inverse_error_p95_mm"] < 1.0 and case["overlap"] > 0.7
        assert len(case["overlap_by_label"]) == 20
        picture = done.out / "derivatives" / "curation" / "pictures" / f"{stem}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert stem in (done.out / "derivatives" / "curation" / "cases.html").read_text()


def test_the_three_variants_show_the_head_the_brain_and_the_brain_on_the_template(
    curated, template
) -> None:
    out = curated[0].out / "derivatives"
    raw, bare, moved = (
        [read_nifti(p) for p in sorted((out / v).glob("sub-*/ses-*/ct/*_ct.nii.gz"))]
        for v in ("raw", "stripped", "registered")
    )
    for head, brain, on_template in zip(raw, bare, moved, strict=True):
        assert head.voxels.max() > 500
        assert (brain.voxels > 150).sum() < 1e-4 * (brain.voxels > -500).sum()
        np.testing.assert_array_equal(head.affine_lps, brain.affine_lps)
        assert on_template.voxels.shape == template.hu.voxels.shape
        inside = on_template.voxels > -500
        assert dice(inside, template.brain.voxels > 0) > 0.9


def test_the_result_opens_as_a_data_set_with_its_labels(curated) -> None:
    opened = open_data_set("curated", curated[0].out)
    assert len(opened.subjects()) == PLAN.outlined
    for subject in opened.subjects():
        assert subject.label is not None and set(subject.images) == {"ncct"}
    assert opened.label_names[20] == "M6 right"


def test_a_case_under_the_threshold_is_set_aside_with_its_reason_and_loses_its_labels(
    curated,
) -> None:
    done, _ = curated
    limits = done.rules.labels.limits.model_copy(update={"min_overlap": 0.999})
    labels = done.rules.labels.model_copy(update={"limits": limits})
    strict = replace(done, rules=done.rules.model_copy(update={"labels": labels}))

    report = curate(strict, quiet)

    assert report.labelled == 0
    assert report.cases_set_aside == {"labels-miss-the-outlines": PLAN.outlined}
    assert not list(done.out.glob("derivatives/*/sub-*/ses-*/ct/*_dseg.nii.gz"))
    page = (done.out / "derivatives" / "curation" / "report.md").read_text()
    assert "labels-miss-the-outlines" in page
