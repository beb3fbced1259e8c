"""Deciding which version runs: proved first, recorded, effective at once, and reversible."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signed_bundles import KEY, STRANGER, write_trusted_keys
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME, toy_pipelines, write_toy_bundle
from willis_models.errors import (
    DigestMismatch,
    GoldenMismatch,
    ModelConflict,
    SignatureMissing,
    SignerNotTrusted,
    UnknownModel,
    UnknownPipeline,
)
from willis_models.runtime.signature import sign_bundle
from willis_service.application.model_desk import ModelDesk
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.modelling import build_model_desk
from willis_service.domain.models import ModelRole


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path)


@pytest.fixture
def desk(toy: Toy) -> ModelDesk:
    write_toy_bundle(toy.core.settings.added_bundles, "2.0.0", brain_above_hu=25.0)
    write_toy_bundle(toy.core.settings.added_bundles, "3.0.0", brain_above_hu=30.0)
    return build_model_desk(toy.core.settings, toy_pipelines)


def roles(desk: ModelDesk) -> dict[str, ModelRole]:
    return {entry.bundle.version: entry.role for entry in desk.entries()}


def live(toy: Toy) -> str:
    return toy.core.bundles.current(NAME).version


def submit(toy: Toy, folder: Path, slices: int = 12) -> str:
    files = write_ct_series(folder, shape=(slices, 32, 32))
    return desk_of(toy.core).submit_files(files, NAME).id


def test_a_bundle_that_was_added_is_not_live_by_itself(toy: Toy, desk: ModelDesk) -> None:
    assert live(toy) == "1.0.0"
    assert roles(desk) == {
        "1.0.0": ModelRole.LIVE,
        "2.0.0": ModelRole.NONE,
        "3.0.0": ModelRole.NONE,
    }


def test_a_promotion_is_effective_in_processes_that_run_already(
    toy: Toy, desk: ModelDesk, tmp_path: Path
) -> None:
    worker = toy.runner()  # was started before
    desk.promote(NAME, "2.0.0", "me", "better")

    job_id = submit(toy, tmp_path / "ct")
    worker(job_id)

    job = toy.core.jobs.get(job_id)
    assert (str(job.state), job.bundle_version) == ("succeeded", "2.0.0")


def test_jobs_that_were_accepted_before_keep_their_version(
    toy: Toy, desk: ModelDesk, tmp_path: Path
) -> None:
    job_id = submit(toy, tmp_path / "ct")
    desk.promote(NAME, "2.0.0", "me", "better")

    toy.run(job_id)

    job = toy.core.jobs.get(job_id)
    assert (str(job.state), job.bundle_version) == ("succeeded", "1.0.0")


def test_the_same_study_asked_for_after_a_promotion_is_another_job(
    toy: Toy, desk: ModelDesk, tmp_path: Path
) -> None:
    first = submit(toy, tmp_path / "ct")
    toy.run(first)
    desk.promote(NAME, "2.0.0", "me", "better")

    assert submit(toy, tmp_path / "ct") != first


def test_a_rollback_makes_live_what_was_live_before(toy: Toy, desk: ModelDesk) -> None:
    desk.promote(NAME, "2.0.0", "me", "better")
    desk.promote(NAME, "3.0.0", "me", "better still")

    seen = []
    for _ in range(2):
        desk.roll_back(NAME, "you", "it was not")
        seen.append(live(toy))

    assert seen == ["2.0.0", "1.0.0"]
    with pytest.raises(ModelConflict):
        desk.roll_back(NAME, "you", "further")


def test_every_decision_is_kept_with_who_and_why(desk: ModelDesk) -> None:
    desk.shadow(NAME, "2.0.0", "ada@host", "first look")
    desk.promote(NAME, "2.0.0", "ada@host", "board of 3 March")
    desk.roll_back(NAME, "bob@host", "thin slices")

    kept = [(str(one.action), one.who, one.why) for one in desk.history(NAME)]

    assert kept == [
        ("roll back", "bob@host", "thin slices"),
        ("promote", "ada@host", "board of 3 March"),
        ("shadow", "ada@host", "first look"),
    ]


def test_a_shadow_is_listed_and_ends(desk: ModelDesk) -> None:
    desk.shadow(NAME, "2.0.0", "me", "look")
    assert roles(desk)["2.0.0"] is ModelRole.SHADOW

    desk.end_shadow(NAME, "me", "seen enough")
    assert roles(desk)["2.0.0"] is ModelRole.NONE
    with pytest.raises(ModelConflict):
        desk.end_shadow(NAME, "me", "again")


def test_what_is_live_can_be_neither_promoted_nor_its_own_shadow(desk: ModelDesk) -> None:
    with pytest.raises(ModelConflict, match="live already"):
        desk.promote(NAME, "1.0.0", "me", "again")
    with pytest.raises(ModelConflict, match="no shadow"):
        desk.shadow(NAME, "1.0.0", "me", "itself")


def test_what_is_not_there_is_named_with_what_is(desk: ModelDesk) -> None:
    with pytest.raises(UnknownModel, match=r"1\.0\.0, 2\.0\.0, 3\.0\.0"):
        desk.promote(NAME, "9.0.0", "me", "better")
    with pytest.raises(UnknownPipeline):
        desk.promote("horoscope", "1.0.0", "me", "better")


def test_a_version_that_can_not_prove_itself_is_not_promoted(toy: Toy, desk: ModelDesk) -> None:
    import json

    import numpy as np

    from willis_models.manifest import sha256_of

    folder = toy.core.settings.added_bundles / NAME / "2.0.0"
    with np.load(folder / "golden.npz") as golden:
        np.savez(folder / "golden.npz", input=golden["input"], output=golden["output"] + 1)
    document = json.loads((folder / "manifest.json").read_text())
    document["files_sha256"]["golden.npz"] = sha256_of(folder / "golden.npz")
    (folder / "manifest.json").write_text(json.dumps(document))

    with pytest.raises(GoldenMismatch):
        desk.promote(NAME, "2.0.0", "me", "better")

    assert live(toy) == "1.0.0"
    assert desk.history(NAME) == []


def test_a_live_version_that_is_gone_is_an_error_and_never_another_version(
    toy: Toy, desk: ModelDesk
) -> None:
    desk.promote(NAME, "2.0.0", "me", "better")
    (toy.core.settings.added_bundles / NAME / "2.0.0" / "manifest.json").unlink()

    with pytest.raises(DigestMismatch, match="promote another"):
        toy.core.bundles.current(NAME)
    assert "gone" in desk_of(toy.core).readiness()["models"]
    assert ModelRole.LIVE not in roles(desk).values()


def signing_desk(toy: Toy, tmp_path: Path) -> ModelDesk:
    keys = write_trusted_keys(tmp_path / "keys", KEY)
    strict = {"require_signature": True, "trusted_keys": keys}
    return build_model_desk(toy.core.settings.model_copy(update=strict), toy_pipelines)


def test_only_a_bundle_of_a_trusted_maker_can_be_added(toy: Toy, tmp_path: Path) -> None:
    desk = signing_desk(toy, tmp_path)
    folder = write_toy_bundle(tmp_path / "media", "4.0.0") / NAME / "4.0.0"

    with pytest.raises(SignatureMissing):
        desk.add(folder)
    sign_bundle(folder, STRANGER)
    with pytest.raises(SignerNotTrusted):
        desk.add(folder)
    sign_bundle(folder, KEY)
    assert desk.add(folder).version == "4.0.0"
    assert desk.add(folder).version == "4.0.0"
    assert live(toy) == "1.0.0"


def test_another_bundle_of_the_same_version_is_not_taken_in(toy: Toy, tmp_path: Path) -> None:
    desk = build_model_desk(toy.core.settings, toy_pipelines)
    twin = write_toy_bundle(tmp_path / "media", "1.0.0", brain_above_hu=33.0) / NAME / "1.0.0"

    with pytest.raises(ModelConflict, match="another"):
        desk.add(twin)
