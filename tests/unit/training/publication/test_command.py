"""From a key and a draft to a bundle that a service would load, on the command line."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.unit.training.publication.drafts import write_draft
from willis_training.cli import app

pytestmark = pytest.mark.usefixtures("no_key_from_outside")


@pytest.fixture
def no_key_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WILLIS_SIGNING_KEY", raising=False)


def run(*arguments: str | Path, key: Path | None = None) -> Result:
    environment = {} if key is None else {"WILLIS_SIGNING_KEY": str(key)}
    return CliRunner().invoke(app, [str(one) for one in arguments], env=environment)


def text(result: Result) -> str:
    return " ".join(result.output.split())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    assert run("keygen", tmp_path / "keys" / "mine.key", "--name", "My group").exit_code == 0
    return tmp_path / "keys" / "mine.key"


def test_the_private_key_is_for_its_owner_alone(key: Path) -> None:
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    assert key.with_suffix(".pub").read_text().endswith(" My group\n")


def test_a_key_is_never_written_over(key: Path) -> None:
    before = key.read_bytes()

    result = run("keygen", key, "--name", "Again")

    assert (result.exit_code, key.read_bytes()) == (1, before)
    assert "exists" in text(result)


def test_a_draft_becomes_a_signed_bundle_that_its_maker_can_verify(
    tmp_path: Path, key: Path
) -> None:
    draft, bundles = write_draft(tmp_path / "draft"), tmp_path / "bundles"

    published = run("publish", draft, "--bundles", bundles, "--key", key, "--note", "The first.")

    assert published.exit_code == 0, published.output
    folder = bundles / "tiny" / "0.1.0"
    verified = run("verify", folder, "--trusted-keys", key.with_suffix(".pub"))
    assert verified.exit_code == 0 and "Signed by My group" in text(verified)
    assert "The first." in (bundles / "tiny" / "CHANGELOG.md").read_text()


def test_the_next_draft_becomes_the_next_version(tmp_path: Path, key: Path) -> None:
    draft, bundles = write_draft(tmp_path / "draft"), tmp_path / "bundles"

    for _ in range(2):
        assert run("publish", draft, "--bundles", bundles, key=key).exit_code == 0

    assert {path.name for path in (bundles / "tiny").glob("0*")} == {"0.1.0", "0.2.0"}


def test_a_worse_draft_needs_a_reason(tmp_path: Path, key: Path) -> None:
    bundles = tmp_path / "bundles"
    run("publish", write_draft(tmp_path / "good", dice=0.8), "--bundles", bundles, key=key)
    worse = write_draft(tmp_path / "worse", dice=0.5)

    refused = run("publish", worse, "--bundles", bundles, key=key)
    taken = run("publish", worse, "--bundles", bundles, "--accept-worse", "smaller", key=key)

    assert refused.exit_code == 1 and "--accept-worse" in text(refused)
    assert taken.exit_code == 0, taken.output
    document = json.loads((bundles / "tiny" / "0.2.0" / "manifest.json").read_text())
    assert document["accepted_worse"]["reason"] == "smaller"


def test_an_incomplete_draft_says_what_is_missing(tmp_path: Path, key: Path) -> None:
    draft = write_draft(tmp_path / "draft")
    (draft / "parity.json").unlink()

    result = run("publish", draft, "--bundles", tmp_path / "bundles", key=key)

    assert result.exit_code == 1 and "lacks parity.json" in text(result)


def test_without_a_key_one_has_to_say_that_the_bundle_is_unsigned(tmp_path: Path) -> None:
    draft, bundles = write_draft(tmp_path / "draft"), tmp_path / "bundles"

    assert run("publish", draft, "--bundles", bundles).exit_code == 2
    assert run("publish", draft, "--bundles", bundles, "--unsigned").exit_code == 0
    assert not (bundles / "tiny" / "0.1.0" / "SIGNATURE").exists()


def test_an_existing_bundle_is_signed_as_it_is(tmp_path: Path, key: Path) -> None:
    draft, bundles = write_draft(tmp_path / "draft"), tmp_path / "bundles"
    run("publish", draft, "--bundles", bundles, "--unsigned")
    folder = bundles / "tiny" / "0.1.0"

    signed = run("sign", folder, "--key", key)

    assert signed.exit_code == 0, signed.output
    assert run("verify", folder, "--trusted-keys", key.with_suffix(".pub")).exit_code == 0


def test_a_damaged_bundle_is_not_signed(tmp_path: Path, key: Path) -> None:
    draft, bundles = write_draft(tmp_path / "draft"), tmp_path / "bundles"
    run("publish", draft, "--bundles", bundles, "--unsigned")
    folder = bundles / "tiny" / "0.1.0"
    (folder / "model.onnx").write_bytes(b"else")

    assert run("sign", folder, "--key", key).exit_code == 1
    assert not (folder / "SIGNATURE").exists()


def test_a_key_of_another_kind_is_named_as_such(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    pem = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    (tmp_path / "ec.key").write_bytes(pem)
    draft = write_draft(tmp_path / "draft")

    result = run("publish", draft, "--bundles", tmp_path / "b", "--key", tmp_path / "ec.key")

    assert result.exit_code == 1 and "not an Ed25519 key" in text(result)
