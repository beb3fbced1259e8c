"""Publication: the next version, whole and honest, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.signed_bundles import KEY, public
from tests.unit.models.tiny_bundle import write_bundle, write_network
from tests.unit.training.publication.drafts import OTHER_TEST_SET, content, judgement
from willis_models.runtime.bundle import latest_bundle
from willis_models.runtime.session import open_predictor, replay_golden
from willis_models.runtime.signature import Trust, check_signature
from willis_training.export.parity import ExportDrift, Parity
from willis_training.publication.bundle import NotPublishable, Release, next_version, publish
from willis_training.publication.gate import WorseThanBefore


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "trained.onnx"
    write_network(path)
    return path


def test_a_published_bundle_loads_and_replays(tmp_path: Path, model: Path) -> None:
    folder = publish(model, content(), tmp_path)

    bundle = latest_bundle("tiny", tmp_path)
    assert bundle.folder == folder == tmp_path / "tiny" / "0.1.0"
    assert replay_golden(bundle, open_predictor(bundle)) == 0.0
    assert {path.name for path in folder.iterdir()} == {
        "CARD.md",
        "assets.npz",
        "evaluation.json",
        "golden.npz",
        "manifest.json",
        "model.onnx",
    }
    assert set(bundle.manifest.files_sha256) == {"assets.npz", "golden.npz", "model.onnx"}


def test_versions_go_up_by_their_minor_number(tmp_path: Path) -> None:
    assert next_version("tiny", tmp_path) == "0.1.0"
    for version in ("0.1.0", "0.10.0", "0.9.3"):
        write_bundle(tmp_path, version)

    assert next_version("tiny", tmp_path) == "0.11.0"
    assert next_version("other", tmp_path) == "0.1.0"


def test_a_network_that_drifts_is_not_published(tmp_path: Path, model: Path) -> None:
    drifting = replace(content(), parity=Parity(0.5, 0.8, 0.1))

    with pytest.raises(ExportDrift):
        publish(model, drifting, tmp_path)

    assert not (tmp_path / "tiny").exists()


def test_a_publication_that_fails_leaves_the_old_version_and_nothing_else(
    tmp_path: Path, model: Path
) -> None:
    publish(model, content(), tmp_path)

    with pytest.raises(ValidationError):
        publish(model, content("0.2.0", colour="blue"), tmp_path)

    assert latest_bundle("tiny", tmp_path).manifest.version == "0.1.0"
    names = {path.name for path in (tmp_path / "tiny").iterdir()}
    assert names == {"0.1.0", "CHANGELOG.md"}


def test_the_same_version_is_replaced_as_a_whole(tmp_path: Path, model: Path) -> None:
    publish(model, content(), tmp_path)
    (tmp_path / "tiny" / "0.1.0" / "left over.txt").write_text("old")

    folder = publish(model, replace(content(), card="# Newer\n"), tmp_path)

    assert (folder / "CARD.md").read_text() == "# Newer\n"
    assert not (folder / "left over.txt").exists()


def test_a_bundle_is_signed_with_all_its_files(tmp_path: Path, model: Path) -> None:
    folder = publish(model, content(), tmp_path, Release(signing_key=KEY))

    assert check_signature(folder, Trust((public(),))).state == "valid"


def test_the_private_key_is_in_no_description_of_the_release() -> None:
    assert "Ed25519" not in repr(Release(signing_key=KEY))


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"learnt_from": []}, "learnt from"),
        ({"learnt_from": [{"name": "a", "licence": " ", "source": "b"}]}, "licence"),
        ({"limits": ["Performance on patients: not measured."]}, "Research use only"),
    ],
)
def test_what_a_reader_has_to_know_must_be_there(
    tmp_path: Path, model: Path, given: dict, missing: str
) -> None:
    with pytest.raises(NotPublishable, match=missing):
        publish(model, content(**given), tmp_path)


def test_a_plain_card_says_what_is_known_and_what_is_not(tmp_path: Path, model: Path) -> None:
    folder = publish(model, replace(content(dice=0.8), card=None), tmp_path)

    card = (folder / "CARD.md").read_text()
    assert "Research use only" in card and "Performance on patients: not measured." in card
    assert "| Phantoms | CC0 | made for tests |" in card
    assert "| Dice | 0.8 | more |" in card and "| volume error | 1 | less |" in card


def test_a_version_that_is_worse_is_refused_with_the_figures(tmp_path: Path, model: Path) -> None:
    publish(model, content(dice=0.8), tmp_path)

    with pytest.raises(WorseThanBefore, match=r"Dice is 0\.79, 0\.1\.0 had 0\.8"):
        publish(model, content("0.2.0", dice=0.79), tmp_path)

    assert not (tmp_path / "tiny" / "0.2.0").exists()


def test_a_version_that_is_as_good_goes_out(tmp_path: Path, model: Path) -> None:
    publish(model, content(dice=0.8), tmp_path)

    publish(model, content("0.2.0", dice=0.8), tmp_path)

    assert latest_bundle("tiny", tmp_path).manifest.accepted_worse is None


def test_more_error_is_worse_where_less_is_better(tmp_path: Path, model: Path) -> None:
    publish(model, content(dice=0.8), tmp_path)

    with pytest.raises(WorseThanBefore, match=r"volume error is 1\.5"):
        publish(model, content("0.2.0", judgement=judgement(0.9, error_ml=1.5)), tmp_path)


@pytest.mark.parametrize(
    ("judged", "fault"),
    [
        (None, "was not"),
        (judgement(0.99, test_set=OTHER_TEST_SET), "another test set"),
        ({**judgement(0.99), "figures": [{"name": "Dice", "value": 0.99}]}, "volume error was not"),
    ],
    ids=["not judged", "other test set", "figure missing"],
)
def test_a_version_that_can_not_be_compared_is_refused(
    tmp_path: Path, model: Path, judged: dict | None, fault: str
) -> None:
    publish(model, content(dice=0.8), tmp_path)

    with pytest.raises(WorseThanBefore, match=fault):
        publish(model, content("0.2.0", judgement=judged), tmp_path)


def test_a_worse_version_goes_out_with_its_reason_in_manifest_and_changelog(
    tmp_path: Path, model: Path
) -> None:
    publish(model, content(dice=0.8), tmp_path)

    publish(model, content("0.2.0", dice=0.7), tmp_path, Release(accept_worse="half the size"))

    worse = latest_bundle("tiny", tmp_path).manifest.accepted_worse
    assert worse is not None
    assert (worse.than, worse.reason) == ("0.1.0", "half the size")
    changelog = (tmp_path / "tiny" / "CHANGELOG.md").read_text()
    assert "**May be worse than 0.1.0** (Dice is 0.7, 0.1.0 had 0.8): half the size" in changelog


def test_an_empty_reason_is_none(tmp_path: Path, model: Path) -> None:
    publish(model, content(dice=0.8), tmp_path)

    with pytest.raises(WorseThanBefore):
        publish(model, content("0.2.0", dice=0.7), tmp_path, Release(accept_worse="  "))


def test_a_first_judged_version_follows_one_that_was_never_judged(
    tmp_path: Path, model: Path
) -> None:
    publish(model, content(), tmp_path)

    publish(model, content("0.2.0", dice=0.1), tmp_path)

    assert latest_bundle("tiny", tmp_path).manifest.version == "0.2.0"
