"""Studies are routed when their protocol says that they are whole, and never in silence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, incoming, toy_core
from tests.toy_pipeline import toy_pipelines, write_toy_bundle
from willis_models.errors import ManifestInvalid
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.storage.tables import INSTANCE
from willis_service.application.complete import RouteCompleteStudies
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.keeping import completeness_of
from willis_service.domain.completeness import Basis
from willis_service.domain.job import JobState, Priority, ResultKind
from willis_service.domain.study import OutcomeCode

WHOLE = (30, 16, 16)
SETTLE_S, QUIET_S, LONGEST_S = 2, 10, 60


class Site:
    """An installation whose keeper looks when a test says so."""

    def __init__(self, folder: Path, **given: Any) -> None:
        self.folder = folder
        self.toy: Toy = toy_core(
            folder,
            quiet_period_s=QUIET_S,
            longest_wait_s=LONGEST_S,
            settle_period_s=SETTLE_S,
            **given,
        )
        self.keeper: RouteCompleteStudies = replace(
            completeness_of(self.toy.core),
            clock=self.toy.clock,
            stopwatch=lambda: self.toy.clock().timestamp(),
        )

    def series(self, name: str, **options: Any) -> list[Path]:
        given = {"shape": WHOLE, "seed": name, "study_seed": "study"} | options
        return write_ct_series(self.folder / name, **given)

    def receive(self, files: Iterable[Path], sender: str = "CT1") -> None:
        for file in files:
            self.toy.core.intake.take(replace(uploaded_instance(file), sender=sender))

    def look(self, after_s: float = 0) -> int:
        """Let time pass and look once; how many studies were closed."""
        self.toy.clock.advance(after_s)
        return self.keeper()

    @property
    def jobs(self) -> list[Any]:
        return list(self.toy.core.jobs.recent(9))

    @property
    def outcome(self) -> Any:
        with self.toy.core.database.read() as connection:
            (uid,) = connection.exec_driver_sql("SELECT study_instance_uid FROM study").scalars()
        return self.toy.core.outcomes.study_outcome(uid)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def rules_file(folder: Path, *rules: str) -> Path:
    head = '[[rule]]\nname = "{}"\npipeline = "toy"\nrole = "ncct"\n'
    path = folder / "rules.toml"
    named = zip("abc", rules, strict=False)
    path.write_text("".join(head.format(name) + rule + "\n" for name, rule in named))
    return path


def test_a_whole_head_is_routed_when_it_settled_without_the_quiet_period(site: Site) -> None:
    site.receive(site.series("head"))

    assert site.look(SETTLE_S - 0.1) == 0
    assert site.look(0.1) == 1
    assert site.outcome.decisions[0].basis is Basis.CONTIGUOUS_SLICES
    assert len(site.jobs) == 1


def test_the_order_of_arrival_and_the_number_of_senders_do_not_matter(site: Site) -> None:
    files = site.series("head")
    site.receive(files[::2], sender="CT1")
    early = site.look(SETTLE_S)
    site.receive(reversed(files[1::2]), sender="PACS")

    assert (early, site.look(SETTLE_S)) == (0, 1)
    assert len(site.jobs) == 1


def test_a_gap_waits_for_the_quiet_period_and_is_then_rejected_for_all_to_see(site: Site) -> None:
    site.receive(site.series("head", missing=[14]))
    early = site.look(QUIET_S - 0.1)
    late = site.look(0.1)
    (job,) = site.jobs
    site.toy.run(job.id)

    assert (early, late) == (0, 1)
    assert site.outcome.decisions[0].basis is Basis.QUIET_PERIOD
    ended = site.toy.core.jobs.get(job.id)
    assert (ended.state, ended.error_code) == (JobState.REJECTED, "MISSING_SLICES")


def test_the_missing_slice_may_come_from_another_association(site: Site) -> None:
    whole = site.series("head")
    site.receive(whole[:14] + whole[15:])
    site.look(QUIET_S - 1)
    site.receive(whole[14:15], sender="PACS")

    assert site.look(SETTLE_S) == 1
    assert site.outcome.decisions[0].basis is Basis.CONTIGUOUS_SLICES


def test_an_announced_image_that_does_not_come_is_waited_for_until_it_is_quiet(site: Site) -> None:
    site.receive(site.series("head", overrides={"ImagesInAcquisition": 31}))

    assert site.look(SETTLE_S) == 0
    assert site.look(QUIET_S - SETTLE_S) == 1


def test_a_multi_frame_object_is_routed_by_itself(site: Site) -> None:
    site.receive(site.series("head", shape=(12, 16, 16), enhanced=True))

    assert site.look(SETTLE_S) == 1
    assert site.outcome.decisions[0].basis is Basis.MULTI_FRAME


def test_a_whole_head_does_not_wait_for_an_angiography_that_still_comes(site: Site) -> None:
    angiography = site.series("cta", overrides={"ContrastBolusAgent": "IOHEXOL"})
    site.receive(site.series("head"))
    for number, file in enumerate(angiography[:8]):
        site.receive([file])
        assert site.look(0.5) == 0, number

    assert len(site.jobs) == 1
    assert not site.outcome.is_final
    site.receive(angiography[8:])
    assert site.look(SETTLE_S) == 1
    assert len(site.jobs) == 1 and site.outcome.is_final


def test_a_series_that_may_be_the_better_one_is_waited_for(site: Site) -> None:
    soft = site.series("soft")
    site.receive(site.series("bone", overrides={"ConvolutionKernel": "BONE"}))
    assert site.look(SETTLE_S) == 0
    site.receive(soft)

    assert site.look(SETTLE_S) == 1
    (job,) = site.jobs
    assert "STANDARD" in site.outcome.decisions[0].reasons[0]
    assert len(site.toy.core.jobs.claim(job.id, site.toy.clock()).inputs) == WHOLE[0]


def test_a_study_that_never_falls_quiet_is_taken_at_the_upper_limit(site: Site) -> None:
    head = site.series("head", missing=[14])
    others = site.series("cta", shape=(80, 8, 8), overrides={"ContrastBolusAgent": "IOHEXOL"})
    site.receive(head)
    for file in others[:LONGEST_S]:
        site.receive([file])
        site.look(1)

    assert [job.state for job in site.jobs] == [JobState.QUEUED]
    assert site.outcome.decisions[0].basis is Basis.UPPER_LIMIT


def test_a_clock_that_is_put_back_does_not_keep_a_study_waiting(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.receive(site.series("head"))
    seconds = iter(range(1000))
    keeper = replace(site.keeper, stopwatch=lambda: next(seconds))
    site.toy.clock.advance(-3600)

    closed = [keeper() for _ in range(QUIET_S)]

    assert sum(closed) == 1 and len(site.jobs) == 1


def test_the_report_says_why_the_study_was_taken_as_complete(site: Site) -> None:
    site.receive(site.series("head"))
    site.look(SETTLE_S)
    (job,) = site.jobs
    site.toy.run(job.id)

    findings = json.loads(site.toy.core.results.path(job.id, ResultKind.FINDINGS).read_text())
    (item,) = (one for one in findings["quality"] if one["code"] == "STUDY_COMPLETENESS")
    assert item["outcome"] == "pass" and "contiguous slices" in item["message"]


def test_what_was_asked_for_by_name_says_nothing_of_completeness(site: Site) -> None:
    job = desk_of(site.toy.core).submit_files(site.series("head"), "toy")
    site.toy.run(job.id)

    findings = site.toy.core.results.path(job.id, ResultKind.FINDINGS).read_text()
    assert "STUDY_COMPLETENESS" not in findings


def test_the_log_says_why_by_code_and_names_nobody(site: Site) -> None:
    head = site.series("head", overrides={"PatientName": "MILLER^JOHN"})
    with capture_logs() as logs:
        site.receive(head[:15])
        site.look(SETTLE_S)
        site.receive(head[15:])
        site.look(SETTLE_S)

    said = {(log["event"], log.get("lack"), log.get("basis")) for log in logs}
    assert ("study_waits", "COVERAGE", None) in said
    assert ("input_complete", None, "CONTIGUOUS_SLICES") in said
    study = site.jobs[0].study_instance_uid
    assert not any("MILLER" in str(log) or study in str(log) for log in logs)


def test_a_study_that_no_rule_takes_ends_visibly_and_runs_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, rules_file=rules_file(tmp_path, "description = 'stroke'"))
    site.receive(site.series("head"))

    assert site.look(SETTLE_S) == 0
    assert site.look(QUIET_S) == 1
    assert site.jobs == []
    assert site.outcome.code is OutcomeCode.NO_RULE
    assert "rule 'a': description does not match" in site.outcome.reason
    assert site.toy.core.studies.open_studies() == []


def test_a_study_of_reports_only_ends_visibly_and_runs_nothing(site: Site) -> None:
    site.toy.core.intake.take(incoming(sop_class="1.2.840.10008.5.1.4.1.1.88.34"))

    assert site.look(QUIET_S) == 1
    assert site.jobs == []
    assert site.outcome.code is OutcomeCode.NO_IMAGES


def test_what_can_not_be_read_is_not_routed_and_says_so(site: Site) -> None:
    site.toy.core.intake.take(incoming(content=b"no DICOM"))

    assert site.look(QUIET_S) == 1
    assert site.outcome.code is OutcomeCode.NO_RULE
    assert "not in DICOM format" in site.outcome.reason


def test_a_study_that_no_rule_takes_can_be_asked_for_by_name(tmp_path: Path) -> None:
    site = Site(tmp_path, rules_file=rules_file(tmp_path, "description = 'stroke'"))

    job = desk_of(site.toy.core).submit_files(site.series("head"), "toy")
    site.toy.run(job.id)

    assert site.toy.core.jobs.get(job.id).state is JobState.SUCCEEDED


def test_rules_ask_who_sent_a_series_and_how_urgent_it_is(tmp_path: Path) -> None:
    rule = 'sender = "STROKE_CT"\npriority = "urgent"'
    site = Site(tmp_path, rules_file=rules_file(tmp_path, rule))
    head = site.series("head")
    site.receive(head, sender="CT1")
    site.look(QUIET_S)
    assert site.outcome.code is OutcomeCode.NO_RULE
    other = site.series("another", study_seed="another")
    site.receive(other, sender="STROKE_CT")
    site.look(SETTLE_S)

    assert [job.priority for job in site.jobs] == [Priority.URGENT]


def test_an_image_that_comes_later_routes_a_study_that_was_not_routed(tmp_path: Path) -> None:
    site = Site(tmp_path, rules_file=rules_file(tmp_path, "min_slices = 30"))
    head = site.series("head")
    site.receive(head[:29])
    site.look(QUIET_S)
    not_routed = site.outcome.code
    site.receive(head[29:])
    site.look(SETTLE_S)

    assert (not_routed, site.outcome.code) == (OutcomeCode.NO_RULE, OutcomeCode.ROUTED)


class Missing:
    """A catalogue without a bundle."""

    def __init__(self) -> None:
        self.is_away = True

    def current(self, pipeline: str) -> Any:
        if self.is_away:
            raise ManifestInvalid("There is no bundle of toy.")
        raise AssertionError


def test_a_study_that_can_not_be_ordered_stays_open_says_why_and_holds_up_no_other(
    site: Site,
) -> None:
    site.receive(site.series("head"))
    routing = site.keeper.routing
    site.keeper.routing = replace(routing, bundles=Missing())
    failed = site.look(SETTLE_S)
    outcome = site.outcome
    site.keeper.routing = routing

    assert failed == 0
    assert outcome.code is OutcomeCode.ROUTING_FAILED and "MANIFEST_INVALID" in outcome.reason
    assert site.look(1) == 0  # not tried again at once
    assert site.look(30) == 1 and len(site.jobs) == 1


def test_a_crash_after_the_outcome_was_recorded_loses_no_job(site: Site) -> None:
    site.receive(site.series("head"))

    class Crash(BaseException):
        pass

    def crash(_order: object) -> None:
        raise Crash

    routing = site.keeper.routing
    object.__setattr__(routing, "place", crash)
    with pytest.raises(Crash):
        site.look(SETTLE_S)
    again = Site.__new__(Site)
    again.__dict__ |= site.__dict__
    again.keeper = replace(completeness_of(site.toy.core), clock=site.toy.clock)

    assert again.look() == 1
    assert len(again.jobs) == 1


def test_two_images_within_one_tick_of_the_clock_are_told_apart(site: Site) -> None:
    files = site.series("head")
    site.receive(files[:29])
    (seen,) = site.toy.core.studies.open_studies()
    site.receive(files[29:])

    assert not site.toy.core.studies.close(seen, site.toy.clock())
    assert len(site.toy.core.studies.open_studies()) == 1


def test_every_pipeline_decides_for_itself(tmp_path: Path) -> None:
    def two() -> dict[str, Any]:
        toy = toy_pipelines()["toy"]
        return {"toy": toy, "other": replace(toy, name="other")}

    other = write_toy_bundle(tmp_path / "bundles") / "other" / "1.0.0"
    other.mkdir(parents=True)
    (other / "manifest.json").touch()
    site = Site(tmp_path, pipelines=two, rules_file=rules_file(tmp_path, ""))
    site.receive(site.series("head"))
    site.look(SETTLE_S)

    by_name = {decision.pipeline: decision for decision in site.outcome.decisions}
    assert by_name["toy"].job_id is not None
    assert by_name["other"].job_id is None
    assert "no rule for this role" in by_name["other"].reasons[0]


def test_images_that_were_purged_and_come_again_are_looked_at_again(site: Site) -> None:
    head = site.series("head")
    site.receive(head)
    site.look(SETTLE_S)
    before = site.outcome.decided_at
    with site.toy.core.database.write() as connection:
        connection.execute(update(INSTANCE).values(purged_at=site.toy.clock()))
    site.toy.clock.advance(3600)
    site.receive(head)

    assert site.look(SETTLE_S) == 1
    assert site.outcome.decided_at > before
