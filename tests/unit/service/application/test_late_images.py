"""Images that come late: the study has one result, and the new one names the one it amends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.application.ports import OrderedInput
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.keeping import completeness_of
from willis_service.bootstrap.working import worker_of
from willis_service.domain.job import Job, JobState, ResultKind

SHAPE = (30, 32, 32)
LATE = 3
"""How many slices at the top come late: without them the head is whole enough."""


@dataclass
class Site:
    """An installation that receives, looks and runs when a test says so."""

    toy: Toy
    folder: Path

    def series(self, name: str, **options: Any) -> list[Path]:
        given = {"shape": SHAPE, "seed": name, "study_seed": "study"} | options
        return write_ct_series(self.folder / name, **given)

    def receive(self, files: Iterable[Path]) -> Job:
        """Take the files in, wait until the study is routed; the newest job."""
        for file in files:
            self.toy.core.intake.take(uploaded_instance(file))
        self.toy.clock.advance(10)
        assert replace(completeness_of(self.toy.core), clock=self.toy.clock)() == 1
        return self.jobs[0]

    def run(self, job: Job) -> Job:
        self.toy.run(job.id)
        return self.toy.core.jobs.get(job.id)

    def state(self, job: Job) -> JobState:
        return self.toy.core.jobs.get(job.id).state

    @property
    def jobs(self) -> list[Job]:
        return list(self.toy.core.jobs.recent(9))

    def path(self, job: Job, kind: ResultKind) -> Path:
        return self.toy.core.results.path(job.id, kind)

    def sr(self, job: Job) -> Dataset:
        return dcmread(self.path(job, ResultKind.SR))

    def findings(self, job: Job) -> Any:
        return json.loads(self.path(job, ResultKind.FINDINGS).read_text())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(toy_core(tmp_path), tmp_path)


@pytest.fixture
def head(site: Site) -> list[Path]:
    """The files from bottom to top."""
    files = site.series("head")
    return sorted(files, key=lambda file: float(dcmread(file).ImagePositionPatient[2]))


def predecessors(sr: Dataset) -> list[tuple[str, str, str, str]]:
    """Study, series, class and instance of each document that the report amends."""
    return [
        (study.StudyInstanceUID, series.SeriesInstanceUID, *_named(instance))
        for study in sr.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]


def _named(instance: Dataset) -> tuple[str, str]:
    return instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID


def test_an_image_before_the_run_starts_leaves_one_job_with_all_images(
    site: Site, head: list[Path]
) -> None:
    first = site.receive(head[:-LATE])
    second = site.receive(head[-LATE:])
    site.run(first)
    ended = site.run(second)

    assert (site.state(first), ended.state) == (JobState.SUPERSEDED, JobState.SUCCEEDED)
    assert predecessors(site.sr(second)) == []
    assert site.findings(second)["amends"] is None


def test_an_image_during_the_run_leaves_one_result_with_all_images(
    site: Site, head: list[Path]
) -> None:
    first = site.receive(head[:-LATE])
    worker = worker_of(site.toy.core).run_job
    later: list[Job] = []

    def open_late(ordered: OrderedInput) -> Any:
        later.append(site.receive(head[-LATE:]))
        return worker.open_input(ordered)

    replace(worker, open_input=open_late, clock=site.toy.clock)(first.id)
    (second,) = later
    site.run(second)

    assert site.toy.core.jobs.get(first.id).results == ()
    assert (site.state(first), site.state(second)) == (JobState.SUPERSEDED, JobState.SUCCEEDED)
    assert predecessors(site.sr(second)) == []


def test_an_image_after_the_run_gives_a_result_that_amends_the_first_one(
    site: Site, head: list[Path]
) -> None:
    first = site.run(site.receive(head[:-LATE]))
    old = site.sr(first)
    second = site.run(site.receive(head[-LATE:]))
    new = site.sr(second)

    assert (site.state(first), second.state) == (JobState.SUPERSEDED, JobState.SUCCEEDED)
    assert second.predecessor_id == first.id
    assert predecessors(new) == [
        (old.StudyInstanceUID, old.SeriesInstanceUID, old.SOPClassUID, old.SOPInstanceUID)
    ]
    assert site.findings(second)["amends"]["job_id"] == first.id
    assert "Amended result" in site.path(second, ResultKind.REPORT).read_text()


def test_an_amended_result_is_recognisable_and_another_object(site: Site, head: list[Path]) -> None:
    first = site.run(site.receive(head[:-LATE]))
    old, old_seg = site.sr(first), dcmread(site.path(first, ResultKind.SEG))
    second = site.run(site.receive(head[-LATE:]))
    new, new_seg = site.sr(second), dcmread(site.path(second, ResultKind.SEG))

    assert (new.SeriesNumber, new_seg.SeriesNumber) == (old.SeriesNumber, old_seg.SeriesNumber)
    assert (old.InstanceNumber, new.InstanceNumber, new_seg.InstanceNumber) == (1, 2, 2)
    assert "amended" in new.SeriesDescription and "amended" not in old.SeriesDescription
    for before, after in ((old, new), (old_seg, new_seg)):
        assert before.SOPInstanceUID != after.SOPInstanceUID
        assert before.SeriesInstanceUID != after.SeriesInstanceUID


def test_a_chain_of_amendments_names_the_last_one_each_time(site: Site, head: list[Path]) -> None:
    parts = (head[:-4], head[-4:-2], head[-2:])
    reports = []
    for part in parts:
        reports.append(site.sr(site.run(site.receive(part))))

    named = [[instance for *_, instance in predecessors(report)] for report in reports]
    assert named == [[], [reports[0].SOPInstanceUID], [reports[1].SOPInstanceUID]]
    assert [int(report.InstanceNumber) for report in reports] == [1, 2, 3]


def test_a_rejection_is_amended_by_the_score_when_the_missing_slice_comes(
    site: Site, head: list[Path]
) -> None:
    first = site.run(site.receive([*head[:14], *head[15:]]))
    old = site.sr(first)
    second = site.run(site.receive(head[14:15]))

    assert (first.state, first.error_code) == (JobState.REJECTED, "MISSING_SLICES")
    assert second.state is JobState.SUCCEEDED
    assert [instance for *_, instance in predecessors(site.sr(second))] == [old.SOPInstanceUID]
    amends = site.findings(second)["amends"]
    assert (amends["job_id"], amends["status"]) == (first.id, "rejected")


def test_a_study_that_is_rejected_again_amends_its_rejection(site: Site, head: list[Path]) -> None:
    without = head[:8] + head[9:14] + head[15:]
    first = site.run(site.receive(without))
    old = site.sr(first)
    second = site.run(site.receive(head[8:9]))
    new = site.sr(second)

    assert second.state is JobState.REJECTED
    assert new.SOPInstanceUID != old.SOPInstanceUID
    assert [instance for *_, instance in predecessors(new)] == [old.SOPInstanceUID]


def test_late_images_may_be_uploaded(site: Site, head: list[Path]) -> None:
    desk = desk_of(site.toy.core)
    first = site.run(desk.submit_files(head[:-LATE], NAME))
    second = site.run(desk.submit_files(head[-LATE:], NAME))

    assert second.predecessor_id == first.id
    assert len(site.sr(second).CurrentRequestedProcedureEvidenceSequence) == 1
    assert predecessors(site.sr(second))
    assert desk.submit_files(head, NAME).id == second.id


@pytest.mark.parametrize("when", ["waits", "ended"])
def test_what_does_not_change_the_input_makes_no_new_job(
    site: Site, head: list[Path], when: str
) -> None:
    first = site.receive(head)
    if when == "ended":
        site.run(first)
    site.receive(site.series("cta", overrides={"ContrastBolusAgent": "IOHEXOL"}))
    for copy in head[:3]:
        site.toy.core.intake.take(uploaded_instance(copy))

    assert [job.id for job in site.jobs] == [first.id]
    assert site.toy.core.studies.open_studies() == []


def test_our_own_results_sent_back_start_and_amend_nothing(site: Site, head: list[Path]) -> None:
    first = site.run(site.receive(head))
    ours = [site.path(first, kind) for kind in (ResultKind.SEG, ResultKind.SR)]
    site.receive(ours)

    assert [job.id for job in site.jobs] == [first.id]
    assert site.state(first) is JobState.SUCCEEDED
