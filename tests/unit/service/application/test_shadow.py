"""A candidate beside the live model: compared, never shown, never in the way."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.infarct_findings import infarct_analysis
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME, TOY, write_toy_bundle
from willis_models.findings import Findings, Rejection, SegmentFinding, SideScore
from willis_models.pipelines.base import Analysis
from willis_models.volume import SliceStack
from willis_service.adapters.storage.models import SqlModelRecord, SqlShadowBook
from willis_service.application.analyse import RunJob
from willis_service.application.shadow import RunShadow, compare
from willis_service.bootstrap.api import desk_of
from willis_service.domain.job import BundleId, JobState
from willis_service.domain.models import ModelAction, ModelDecision
from willis_service.domain.shadow import ShadowRun

NOW = datetime(2026, 1, 5, tzinfo=UTC)
CANDIDATE = "2.0.0"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(12, 32, 32))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    toy = toy_core(tmp_path)
    write_toy_bundle(toy.core.settings.added_bundles, CANDIDATE, brain_above_hu=25.0)
    start_shadow(toy)
    return toy


def start_shadow(toy: Toy) -> BundleId:
    bundle = toy.core.bundles.find(NAME, CANDIDATE)
    record = SqlModelRecord(toy.core.database)
    shadow = ModelDecision(NAME, ModelAction.SHADOW, bundle, "me", "first look", NOW)
    record.decide(NAME, lambda _: shadow)
    return bundle


def submitted(toy: Toy, files: list[Path]) -> str:
    return desk_of(toy.core).submit_files(files, NAME).id


def runs(toy: Toy) -> list[ShadowRun]:
    return list(SqlShadowBook(toy.core.database).runs(NAME))


def runner(toy: Toy, **changes: Any) -> RunJob:
    """A worker whose shadow has other parts."""
    made = toy.runner()
    assert isinstance(made.shadow, RunShadow)
    return replace(made, shadow=replace(made.shadow, **changes))


def test_both_versions_see_the_study_and_their_difference_is_kept(
    toy: Toy, files: list[Path]
) -> None:
    job_id = submitted(toy, files)

    toy.run(job_id)

    (run,) = runs(toy)
    assert (run.job_id, run.live.version, run.candidate.version) == (job_id, "1.0.0", CANDIDATE)
    assert (run.live_status, run.candidate_status) == ("succeeded", "succeeded")
    # The candidate's brain begins at a higher density, so a part of it is missing.
    assert 0 < run.dice["toy_I"] < 1
    assert run.live_s > 0 and run.candidate_s is not None and run.candidate_s > 0


def test_nothing_of_the_candidate_is_among_the_results(toy: Toy, files: list[Path]) -> None:
    job_id = submitted(toy, files)

    toy.run(job_id)

    (job,) = toy.core.jobs.recent(9)
    assert (job.id, job.state, job.bundle_version) == (job_id, JobState.SUCCEEDED, "1.0.0")
    results = toy.core.settings.data_dir / "results"
    assert [path.name for path in results.iterdir()] == [job_id]
    kept = [path for path in results.rglob("*") if path.is_file()]
    assert {path.name for path in kept} == {kind.value for kind in job.results}
    assert not any(CANDIDATE in path.read_text(errors="ignore") for path in kept)


def test_it_runs_after_the_result_is_out(toy: Toy, files: list[Path]) -> None:
    job_id = submitted(toy, files)
    seen = []

    def is_busy() -> bool:
        seen.append(toy.core.jobs.get(job_id).state)
        return False

    runner(toy, is_busy=is_busy)(job_id)

    assert seen == [JobState.SUCCEEDED]
    assert len(runs(toy)) == 1


def test_it_yields_to_jobs_that_wait(toy: Toy, files: list[Path], tmp_path: Path) -> None:
    first = submitted(toy, files)
    second = submitted(toy, write_ct_series(tmp_path / "other", shape=(14, 32, 32)))

    toy.run(first)
    assert runs(toy) == []
    toy.run(second)
    assert [run.job_id for run in runs(toy)] == [second]


def test_a_candidate_that_is_gone_is_noted_and_harms_nobody(toy: Toy, files: list[Path]) -> None:
    job_id = submitted(toy, files)
    manifest = toy.core.settings.added_bundles / NAME / CANDIDATE / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")

    toy.run(job_id)

    (run,) = runs(toy)
    assert (run.error_code, run.candidate_status) == ("DIGEST_MISMATCH", None)
    assert toy.core.jobs.get(job_id).state is JobState.SUCCEEDED


class Buggy:
    """Models whose candidate has a bug."""

    def __init__(self, models: Any) -> None:
        self.models = models

    def take(self, pipeline: str, bundle: BundleId) -> Any:
        model = self.models.take(pipeline, bundle)
        return replace(model, pipeline=replace(TOY, prepare=None))


def test_a_bug_of_the_candidate_is_noted_and_harms_nobody(toy: Toy, files: list[Path]) -> None:
    job_id, made = submitted(toy, files), toy.runner()

    runner(toy, models=Buggy(made.models))(job_id)

    assert [run.error_code for run in runs(toy)] == ["INTERNAL_ERROR"]
    assert toy.core.jobs.get(job_id).state is JobState.SUCCEEDED


def test_a_book_that_can_not_be_written_harms_nobody(toy: Toy, files: list[Path]) -> None:
    class Away:
        def record(self, _run: ShadowRun) -> None:
            raise OSError("no disk")

    job_id = submitted(toy, files)

    runner(toy, book=Away())(job_id)

    assert toy.core.jobs.get(job_id).state is JobState.SUCCEEDED


def test_the_guard_watches_the_candidate_too(toy: Toy, files: list[Path]) -> None:
    watched: list[str] = []

    def guard(run: Any) -> Any:
        watched.append(str(toy.core.jobs.get(run.job.id).state))
        return nullcontext()

    replace(toy.runner(), guard=guard)(submitted(toy, files))

    assert watched == ["running", "succeeded"]


def test_a_rejected_study_is_compared_by_its_status(toy: Toy, tmp_path: Path) -> None:
    files = write_ct_series(tmp_path / "gap", shape=(20, 32, 32), missing=(9, 10, 11))

    toy.run(submitted(toy, files))

    (run,) = runs(toy)
    assert (run.live_status, run.candidate_status, run.dice) == ("rejected", "rejected", {})


def test_without_a_candidate_nothing_is_run(tmp_path: Path, files: list[Path]) -> None:
    toy = toy_core(tmp_path)

    toy.run(submitted(toy, files))

    assert runs(toy) == []


def analysis(score: int | None, state: str, labels: list[int], role: str = "ncct") -> Analysis:
    segment = SegmentFinding(
        number=1,
        key="left_I",
        label="I left",
        structure_value="36169008",
        structure_scheme="SCT",
        structure_meaning="Insula",
        laterality="left",
        state=state,  # type: ignore[arg-type]
    )
    side = SideScore(
        side="left",
        score=score,
        lowest=score,
        highest=score,
        affected=(),
        indeterminate=(),
        not_assessable=(),
    )
    findings = Findings(
        pipeline="toy",
        status="succeeded",
        scores=(side,),
        segments=(segment,),
        timings_s={"read": 1.0, "predict": 2.0},
    )
    return Analysis(findings, np.array([[labels]], np.uint8), role)


BASIS = ShadowRun(
    "job", "toy", BundleId("1", "a"), BundleId("2", "b"), NOW, live_status="succeeded", live_s=1.0
)


def test_scores_states_and_masks_are_compared() -> None:
    live = analysis(8, "affected", [1, 1, 1, 0])
    candidate = analysis(9, "unaffected", [1, 0, 0, 0])

    run = compare(BASIS, live, candidate)

    assert run.score_changes == {"left": 1}
    assert run.changed_states == 1
    assert run.dice == {"left_I": 0.5}
    assert run.candidate_s == 3.0


def test_a_score_that_only_one_gives_is_no_number() -> None:
    run = compare(BASIS, analysis(None, "affected", [1]), analysis(9, "affected", [1]))

    assert run.score_changes == {"left": None}


def test_masks_that_lie_over_others_are_compared_too() -> None:
    stack = SliceStack(
        np.zeros((6, 24, 24), np.float32),
        np.array([-90.0, -90.0, -40.0]) + np.arange(6)[:, None] * np.array([0.0, 0.0, 15.0]),
        np.array([8.0, 0.0, 0.0]),
        np.array([0.0, 8.0, 0.0]),
    )
    live = infarct_analysis(stack)
    (overlay,) = live.overlays
    half = np.where(np.arange(24) % 2 == 0, overlay, 0).astype(np.uint8)

    run = compare(BASIS, live, replace(live, overlays=(half,)))

    assert run.dice["core"] == run.dice["penumbra"] == 1.0
    assert 0.5 < run.dice["predicted_infarct"] < 0.8


def test_masks_on_different_series_are_not_compared() -> None:
    run = compare(BASIS, analysis(9, "affected", [1]), analysis(9, "affected", [1], role="cta"))

    assert run.dice == {}


def test_against_a_rejection_there_is_nothing_to_count() -> None:
    rejection = Rejection(code="MISSING_SLICES", message="A gap.")
    rejected = Analysis(Findings(pipeline="toy", status="rejected", rejection=rejection))

    run = compare(BASIS, analysis(9, "affected", [1]), rejected)

    assert (run.agrees_on_status, run.score_changes, run.changed_states) == (False, {}, None)
