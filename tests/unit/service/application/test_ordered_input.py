"""What was ordered is what is analysed: which file in which role, and with which options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from sqlalchemy import update

from tests.infarct_like import infarct_like_pipelines
from tests.synthetic_ct import write_ct_series
from tests.synthetic_ctp import Ctp, expected_hu, in_turn, write_map
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME
from willis_models.errors import BadOption, BadUpload
from willis_models.findings import Findings
from willis_service.adapters.dicom.incoming import uploaded_instance
from willis_service.adapters.storage.tables import JOB
from willis_service.application.ordered import checked_options, frame_times_of
from willis_service.application.submit import Desk
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.keeping import completeness_of
from willis_service.bootstrap.working import build_predict
from willis_service.domain.job import Job, JobState, ResultKind, Run, asked_fingerprint

AIF = {"aif_lps": [10, -20, 35]}


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Toy]:
    made = toy_core(tmp_path, infarct_like_pipelines, quiet_period_s=10)
    yield made
    made.core.database.close()


@pytest.fixture
def desk(toy: Toy) -> Desk:
    made = desk_of(toy.core)
    assert isinstance(made, Desk)
    return made


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A small perfusion scan with a native head CT."""
    stated = {"SeriesNumber": 2}
    head = write_ct_series(
        tmp_path / "ncct",
        shape=(13, 16, 16),
        slice_step_mm=10.0,
        study_seed="study",
        overrides=stated,
    )
    return [*Ctp(in_turn(12, 2)).write(tmp_path / "ctp"), *head]


def findings(desk: Desk, job: Job) -> Findings:
    text = desk.result_path(job.id, ResultKind.FINDINGS).read_text()
    return Findings.model_validate_json(text)


def said(found: Findings) -> dict[str, str]:
    return {item.code: item.message for item in found.quality}


def test_each_series_is_read_in_the_role_that_was_ordered(
    toy: Toy, desk: Desk, files: list[Path]
) -> None:
    job = desk.submit_files(files, NAME)
    toy.run(job.id)

    found = said(findings(desk, job))
    assert desk.job(job.id).state is JobState.SUCCEEDED
    assert found["GOT_CTP"] == "12 x 2 x 16 x 16 HU"
    assert found["GOT_NCCT"] == "13 x 16 x 16 HU"


def test_the_order_names_the_role_of_each_file(toy: Toy, desk: Desk, files: list[Path]) -> None:
    job = desk.submit_files(files, NAME)

    run = toy.core.jobs.claim(job.id, toy.clock())

    assert run is not None
    roles = {path: role for path, role in zip(run.inputs, run.roles, strict=True)}
    assert sorted(roles.values()) == ["ctp"] * 24 + ["ncct"] * 13


def test_the_worker_does_not_choose_again_where_the_rules_chose(
    toy: Toy, desk: Desk, tmp_path: Path, files: list[Path]
) -> None:
    """The rules gave the narrow scan the role, though the wide one beside it is better."""
    wide = Ctp(in_turn(12, 4), seed="wide", series_number=9, overrides={"BodyPartExamined": "HEAD"})
    job = desk.submit_files([*files, *wide.write(tmp_path / "wide")], NAME)
    instances = toy.core.studies.instances(job.study_instance_uid)
    narrow = [one for one in instances if one.series_instance_uid != _series(instances, 48)]
    order = toy.core.routing.order(
        job.study_instance_uid, narrow, NAME, toy.core.routing.choice(narrow, _pipeline(toy))
    )
    everything = replace(order, inputs=(*order.inputs, *_paths(instances, 48)))
    both = replace(everything, roles=(*order.roles, *[""] * 48))
    again = toy.core.routing.place(both)
    toy.run(again.id)

    assert said(findings(desk, again))["GOT_CTP"] == "12 x 2 x 16 x 16 HU"


def _pipeline(toy: Toy) -> Any:
    return toy.core.pipelines[NAME]


def _series(instances: Sequence[Any], size: int) -> str:
    uids = [one.series_instance_uid for one in instances]
    return next(uid for uid in uids if uids.count(uid) == size)


def _paths(instances: Sequence[Any], size: int) -> list[str]:
    uid = _series(instances, size)
    return [one.path for one in instances if one.series_instance_uid == uid]


def test_a_job_of_an_earlier_version_without_roles_is_still_run(
    toy: Toy, desk: Desk, files: list[Path]
) -> None:
    job = desk.submit_files(files, NAME)
    with toy.core.database.write() as connection:
        connection.execute(update(JOB).values(roles=None, options=None))

    toy.run(job.id)

    assert {"GOT_CTP", "GOT_NCCT"} <= said(findings(desk, job)).keys()


def test_an_optional_series_that_can_not_be_read_is_left_out_and_said(
    toy: Toy, desk: Desk, files: list[Path], tmp_path: Path
) -> None:
    complete = [path for path in files if path.parent.name == "ctp"]
    gap = {"SeriesNumber": 2}
    head = write_ct_series(
        tmp_path / "gap", shape=(13, 16, 16), study_seed="study", overrides=gap, missing=[7]
    )
    job = desk.submit_files([*complete, *head], NAME)
    toy.run(job.id)

    found = said(findings(desk, job))
    assert desk.job(job.id).state is JobState.SUCCEEDED
    assert "missing between slices" in found["OPTIONAL_SERIES_LEFT_OUT"]
    assert "GOT_NCCT" not in found


def test_options_reach_the_pipeline_and_make_another_job(
    toy: Toy, desk: Desk, files: list[Path]
) -> None:
    plain = desk.submit_files(files, NAME)
    toy.run(plain.id)
    asked = desk.submit_study(plain.study_instance_uid, NAME, options=AIF)
    toy.run(asked.id)

    assert asked.id != plain.id
    assert asked.input_fingerprint != plain.input_fingerprint
    assert said(findings(desk, asked))["ASKED"] == "{'aif_lps': (10.0, -20.0, 35.0)}"
    assert said(findings(desk, plain))["ASKED"] == "{}"
    assert desk.job(plain.id).state is JobState.SUPERSEDED


def test_the_same_options_are_the_same_job_however_they_are_written(
    desk: Desk, files: list[Path]
) -> None:
    first = desk.submit_files(files, NAME, options=AIF)

    for same in ({"aif_lps": [10.0, -20.0, 35.0]}, {"aif_lps": (10, -20, 35)}):
        assert desk.submit_study(first.study_instance_uid, NAME, options=same).id == first.id
    other = desk.submit_study(first.study_instance_uid, NAME, options={"aif_lps": [1, 2, 3]})
    assert other.id != first.id


def test_no_options_leave_the_identity_of_a_job_as_it_always_was() -> None:
    assert asked_fingerprint("f" * 64, {}) == "f" * 64
    assert asked_fingerprint("f" * 64, {"a": 1}) != "f" * 64


WRONG: Mapping[str, dict[str, Any]] = {
    "unknown": {"aif": [1, 2, 3]},
    "two numbers": {"aif_lps": [1, 2]},
    "times that fall": {"frame_times_s": [0, 2, 1]},
    "times that are none": {"frame_times_s": "soon"},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_before_anything_is_stored(
    toy: Toy, desk: Desk, files: list[Path], options: dict[str, Any]
) -> None:
    with pytest.raises(BadOption):
        desk.submit_files(files, NAME, options=options)

    assert toy.core.jobs.recent(9) == []


def test_times_of_frames_are_no_option_of_the_pipeline() -> None:
    pipeline = infarct_like_pipelines()[NAME]

    assert checked_options(pipeline, {"frame_times_s": [0, 1.5]}) == {"frame_times_s": [0, 1.5]}
    assert frame_times_of({"frame_times_s": [0, 1.5]}) == (0.0, 1.5)


@dataclass
class _Listening:
    """The book of runs, and the steps that it was told."""

    runs: Any
    steps: list[str] = field(default_factory=list)

    def note_step(self, run: Run, step: str, now: datetime) -> bool:
        told: bool = self.runs.note_step(run, step, now)
        self.steps.append(self.runs.get(run.job.id).step)
        return told

    def __getattr__(self, name: str) -> Any:
        return getattr(self.runs, name)


def test_the_job_says_at_which_step_of_the_preparation_it_is(
    toy: Toy, desk: Desk, files: list[Path]
) -> None:
    job = desk.submit_files(files, NAME)
    listening = _Listening(toy.core.jobs)

    toy.runner(runs=listening)(job.id)

    within = ["prepare", "prepare: motion", "prepare: curves", "predict"]
    assert listening.steps[3:7] == within
    assert set(within) <= desk.job(job.id).timings_s.keys()


def test_a_study_is_analysed_without_a_service_with_its_options(
    toy: Toy, files: list[Path], tmp_path: Path
) -> None:
    predict = build_predict(toy.core.settings, infarct_like_pipelines)
    steps: list[str] = []

    made = predict(files, NAME, tmp_path / "out", steps.append, AIF)

    assert said(made.findings)["ASKED"] == "{'aif_lps': (10.0, -20.0, 35.0)}"
    assert "prepare: motion" in steps
    with pytest.raises(BadOption):
        predict(files, NAME, tmp_path / "other", steps.append, {"no": 1})


# --- NIfTI ---


def write_nifti(
    path: Path, frames: Sequence[np.ndarray], step: float = 0.0, unit: str = "sec"
) -> Path:
    """Volumes (z, y, x) as one file; four-dimensional where there are several."""
    path.parent.mkdir(parents=True, exist_ok=True)
    volumes = [frame.transpose(2, 1, 0) for frame in frames]
    values = volumes[0] if len(volumes) == 1 else np.stack(volumes, axis=-1)
    image = nib.Nifti1Image(values, np.diag([2.0, 2.0, 5.0, 1.0]))
    image.header.set_xyzt_units("mm", unit)
    if len(volumes) > 1:
        image.header["pixdim"][4] = step
    nib.save(image, path)
    return path


def dynamic_frames(time_points: int = 12, step_s: float = 2.0) -> list[np.ndarray]:
    return [
        np.stack([expected_hu(t * step_s, k) for k in range(4)]).astype(np.int16)
        for t in range(time_points)
    ]


@pytest.fixture
def isles(tmp_path: Path) -> dict[str, Path]:
    """Files as the ISLES'24 data name them."""
    head = np.full((4, 16, 16), 30, np.int16)
    head[:, :2] = -1000
    names = {
        "ctp": "raw_data/sub-stroke0001_ses-01_ctp.nii.gz",
        "ncct": "raw_data/sub-stroke0001_ses-01_ncct.nii.gz",
        "tmax": "derivatives/perfusion-maps/sub-stroke0001_ses-01_space-ncct_tmax.nii.gz",
        "cbf": "derivatives/perfusion-maps/sub-stroke0001_ses-01_space-ncct_cbf.nii.gz",
        "lesion": "derivatives/ses-02/sub-stroke0001_ses-02_lesion-msk.nii.gz",
    }
    paths = {key: tmp_path / "isles" / name for key, name in names.items()}
    write_nifti(paths["ctp"], dynamic_frames(), 2.0)
    for key in ("ncct", "tmax", "cbf", "lesion"):
        write_nifti(paths[key], [head])
    return paths


def test_nifti_files_take_the_roles_that_their_names_end_in(
    toy: Toy, desk: Desk, isles: dict[str, Path]
) -> None:
    job = desk.submit_files([isles[key] for key in ("tmax", "cbf", "ncct", "lesion")], NAME)
    toy.run(job.id)

    found = said(findings(desk, job))
    assert {key for key in found if key.startswith("GOT_")} == {"GOT_TMAX", "GOT_CBF", "GOT_NCCT"}
    assert found["GOT_TMAX"] == "4 x 16 x 16 s"
    assert found["GOT_CBF"] == "4 x 16 x 16 mL/(100.g)/min"
    assert ResultKind.LABELS in desk.job(job.id).results


def test_a_dynamic_nifti_file_is_read_in_time(toy: Toy, desk: Desk, isles: dict[str, Path]) -> None:
    job = desk.submit_files([isles["ctp"], isles["ncct"]], NAME)
    toy.run(job.id)

    assert said(findings(desk, job))["GOT_CTP"] == "12 x 4 x 16 x 16 HU"


def test_a_single_dynamic_file_may_be_called_as_it_likes(
    toy: Toy, desk: Desk, tmp_path: Path
) -> None:
    job = desk.submit_files([write_nifti(tmp_path / "a.nii", dynamic_frames(), 2.0)], NAME)
    toy.run(job.id)

    assert said(findings(desk, job))["GOT_CTP"] == "12 x 4 x 16 x 16 HU"


def test_the_times_of_the_frames_may_come_beside_the_file_or_as_an_option(
    toy: Toy, desk: Desk, tmp_path: Path
) -> None:
    silent = write_nifti(tmp_path / "x_ctp.nii.gz", dynamic_frames())
    sidecar = tmp_path / "x_ctp.json"
    sidecar.write_text(json.dumps({"RepetitionTime": 2.0}))
    options = {"frame_times_s": [2.0 * t for t in range(12)]}

    beside = desk.submit_files([silent, sidecar], NAME)
    asked = desk.submit_files([silent], NAME, options=options)
    alone = desk.submit_files([silent], NAME)
    for job in (beside, asked, alone):
        toy.run(job.id)

    states = [desk.job(job.id).state for job in (beside, asked, alone)]
    assert states == [JobState.SUCCEEDED, JobState.SUCCEEDED, JobState.REJECTED]
    assert "frame_times_s" in (desk.job(alone.id).error_message or "")
    assert len({beside.id, asked.id, alone.id}) == 3


def test_files_whose_names_say_nothing_are_refused(
    desk: Desk, isles: dict[str, Path], tmp_path: Path
) -> None:
    other = write_nifti(tmp_path / "other.nii.gz", [np.zeros((4, 4, 4), np.int16)])

    with pytest.raises(BadUpload, match="_tmax"):
        desk.submit_files([isles["lesion"], other], NAME)


def test_a_set_that_does_not_suffice_is_rejected_with_what_is_missing(
    toy: Toy, desk: Desk, isles: dict[str, Path]
) -> None:
    job = desk.submit_files([isles["tmax"], isles["ncct"]], NAME)
    toy.run(job.id)

    ended = desk.job(job.id)
    assert (ended.state, ended.error_code) == (JobState.REJECTED, "NO_SUITABLE_SERIES")
    assert "cbf map" in (ended.error_message or "")


def test_a_folder_of_nifti_files_is_analysed_without_a_service(
    toy: Toy, isles: dict[str, Path], tmp_path: Path
) -> None:
    predict = build_predict(toy.core.settings, infarct_like_pipelines)
    (tmp_path / "isles" / "readme.txt").write_text("notes")
    files = [path for path in (tmp_path / "isles").rglob("*") if path.is_file()]

    made = predict(files, NAME, tmp_path / "out", lambda step: None)

    assert said(made.findings)["GOT_CTP"] == "12 x 4 x 16 x 16 HU"
    assert (tmp_path / "out" / ResultKind.LABELS).is_file()


# --- as images arrive ---


def receive(toy: Toy, files: Sequence[Path]) -> None:
    for file in files:
        toy.core.intake.take(uploaded_instance(file))


def tick(toy: Toy) -> None:
    replace(completeness_of(toy.core), clock=toy.clock)()


def test_the_native_scan_alone_starts_nothing_and_the_perfusion_scan_is_waited_for(
    toy: Toy, files: list[Path]
) -> None:
    ctp = [path for path in files if path.parent.name == "ctp"]
    head = [path for path in files if path.parent.name == "ncct"]
    receive(toy, head)
    toy.clock.advance(3)
    tick(toy)
    assert toy.core.jobs.recent(9) == []

    receive(toy, ctp[:-1])
    toy.clock.advance(3)
    tick(toy)
    assert toy.core.jobs.recent(9) == []

    receive(toy, ctp[-1:])
    toy.clock.advance(3)
    tick(toy)
    (job,) = toy.core.jobs.recent(9)
    run = toy.core.jobs.claim(job.id, toy.clock())
    assert run is not None and set(run.roles) == {"ctp", "ncct"}


def test_a_native_scan_that_comes_later_amends_the_result(toy: Toy, files: list[Path]) -> None:
    receive(toy, [path for path in files if path.parent.name == "ctp"])
    toy.clock.advance(3)
    tick(toy)
    (first,) = toy.core.jobs.recent(9)
    toy.run(first.id)
    receive(toy, [path for path in files if path.parent.name == "ncct"])
    toy.clock.advance(3)
    tick(toy)

    second = toy.core.jobs.latest_of(first.study_instance_uid, NAME)

    assert second is not None and second.predecessor_id == first.id


def test_ready_maps_that_are_not_all_there_wait_for_the_quiet_period(
    toy: Toy, tmp_path: Path
) -> None:
    values = [np.full((16, 16), 10.0 + k) for k in range(4)]
    for name, unit in (("tmax", "s"), ("cbf", "ml/100g/min"), ("mtt", "s")):
        known = {"description": name, "rescale_type": unit}
        receive(toy, write_map(tmp_path / name, values, seed=name, **known))
    toy.clock.advance(3)
    tick(toy)
    assert toy.core.jobs.recent(9) == []

    toy.clock.advance(8)
    tick(toy)
    (job,) = toy.core.jobs.recent(9)
    toy.run(job.id)
    assert toy.core.jobs.get(job.id).state is JobState.SUCCEEDED
