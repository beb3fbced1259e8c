"""Signatures: exactly these files, by somebody who is trusted, or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.signed_bundles import KEY, STRANGER, public, write_trusted_keys
from tests.unit.models.tiny_bundle import write_bundle
from willis_models.errors import (
    SignatureInvalid,
    SignatureMissing,
    SignerNotTrusted,
    TrustedKeysInvalid,
)
from willis_models.runtime.bundle import SHIPPED_KEYS, find_bundles
from willis_models.runtime.signature import (
    PublicKey,
    Trust,
    check_signature,
    read_trusted_keys,
    sign_bundle,
    signed_text,
    standing_of,
)

TRUST = Trust((public(),))


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    folder = write_bundle(tmp_path)
    (folder / "CARD.md").write_text("# Tiny\n")
    sign_bundle(folder, KEY)
    return folder


def test_a_signed_bundle_names_its_signer(signed: Path) -> None:
    standing = check_signature(signed, TRUST)

    assert (standing.state, standing.signer) == ("valid", "test key")


def test_what_is_signed_is_a_list_as_sha256sum_prints_it(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"two")
    (tmp_path / "a").write_bytes(b"one")
    digests = {n: hashlib.sha256((tmp_path / n).read_bytes()).hexdigest() for n in ("b", "a")}

    lines = signed_text(digests).decode().splitlines()

    assert lines == ["willis bundle 1", f"{digests['a']}  a", f"{digests['b']}  b"]


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda f: (f / "CARD.md").write_text("# Better\n"), "CARD.md was changed"),
        (lambda f: (f / "model.onnx").write_bytes(b"else"), "model.onnx was changed"),
        (lambda f: (f / "extra.npz").write_bytes(b"more"), "extra.npz was added"),
        (lambda f: (f / "CARD.md").unlink(), "CARD.md is missing"),
        (lambda f: (f / "SIGNATURE").write_text("{}"), "unreadable"),
        (lambda f: (f / "a\nb").write_text(""), "can't be signed"),
    ],
    ids=["text changed", "weights changed", "added", "removed", "unreadable", "odd name"],
)
@pytest.mark.parametrize("is_required", [True, False])
def test_an_altered_bundle_is_refused_whether_signatures_are_required_or_not(
    signed: Path, damage: object, fault: str, is_required: bool
) -> None:
    damage(signed)  # type: ignore[operator]

    with pytest.raises(SignatureInvalid, match=fault):
        check_signature(signed, Trust((public(),), is_required))


def test_digests_made_to_fit_altered_files_do_not_help(signed: Path) -> None:
    (signed / "CARD.md").write_text("# Better\n")
    document = json.loads((signed / "SIGNATURE").read_text())
    card = (signed / "CARD.md").read_bytes()
    document["files_sha256"]["CARD.md"] = hashlib.sha256(card).hexdigest()
    (signed / "SIGNATURE").write_text(json.dumps(document))

    with pytest.raises(SignatureInvalid, match="false"):
        check_signature(signed, TRUST)


def test_a_stranger_under_the_name_of_a_trusted_key_is_refused(signed: Path) -> None:
    sign_bundle(signed, STRANGER)
    document = json.loads((signed / "SIGNATURE").read_text())
    document["key_id"] = public().key_id
    (signed / "SIGNATURE").write_text(json.dumps(document))

    with pytest.raises(SignatureInvalid, match="false"):
        check_signature(signed, TRUST)


def test_a_stranger_is_refused_by_name_of_the_key(signed: Path) -> None:
    sign_bundle(signed, STRANGER)

    with pytest.raises(SignerNotTrusted, match=public(STRANGER).key_id):
        check_signature(signed, TRUST)
    assert check_signature(signed, Trust((public(),), is_required=False)).state == "not trusted"


def test_an_unsigned_bundle_is_refused_unless_signatures_are_not_required(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path)

    with pytest.raises(SignatureMissing, match=r"tiny 0\.1\.0 is not signed"):
        check_signature(folder, TRUST)
    assert check_signature(folder, Trust(is_required=False)).state == "missing"


def test_keys_are_read_from_a_file_of_lines(tmp_path: Path) -> None:
    path = write_trusted_keys(tmp_path / "keys", KEY, STRANGER)

    assert read_trusted_keys(path) == (public(KEY), public(STRANGER))


@pytest.mark.parametrize(
    "line",
    ["rsa AAAA x", "ed25519 AAAA short", "ed25519 *** x", "ed25519", f"{public().line[:50]}"],
)
def test_a_line_that_is_no_key_is_an_error_that_says_where(tmp_path: Path, line: str) -> None:
    (tmp_path / "keys").write_text(f"# first\n{line}\n")

    with pytest.raises(TrustedKeysInvalid, match="line 2"):
        read_trusted_keys(tmp_path / "keys")


def test_a_missing_file_of_keys_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrustedKeysInvalid, match="nothing"):
        read_trusted_keys(tmp_path / "nothing")


def test_every_shipped_bundle_is_signed_by_the_project() -> None:
    keys = read_trusted_keys(SHIPPED_KEYS)

    assert {standing_of(folder, keys).state for folder in find_bundles()} == {"valid"}


def test_a_known_signature_still_holds() -> None:
    """RFC 8032, section 7.1, test 1: the public key of its secret key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    raw = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

    assert public(Ed25519PrivateKey.from_private_bytes(secret), "rfc") == PublicKey("rfc", raw)
