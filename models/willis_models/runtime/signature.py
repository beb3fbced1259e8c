"""Who made a bundle: a detached Ed25519 signature (RFC 8032) over the digests of all its files.

``SIGNATURE`` lies beside the files that it names. What is signed is a text of one line a file, as
``sha256sum`` prints it, under a heading that keeps it from being taken for anything else::

    willis bundle 1
    <sha256>  CARD.md
    <sha256>  manifest.json

A signature holds for exactly these files: one more, one less or one changed breaks it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict

from willis_models.errors import (
    BundleError,
    SignatureInvalid,
    SignatureMissing,
    SignerNotTrusted,
    TrustedKeysInvalid,
)
from willis_models.manifest import sha256_of

SIGNATURE_FILE = "SIGNATURE"
ALGORITHM = "ed25519"
_HEADING = "willis bundle 1"
_KEY_ID_DIGITS = 16

State = Literal["valid", "missing", "invalid", "not trusted"]


@dataclass(frozen=True)
class PublicKey:
    """A key whose signatures are believed, and the name that its owner gave it."""

    name: str
    raw: bytes

    @property
    def key_id(self) -> str:
        """Short name of the key, from its digest."""
        return hashlib.sha256(self.raw).hexdigest()[:_KEY_ID_DIGITS]

    @property
    def line(self) -> str:
        """The key as a file of trusted keys holds it."""
        return f"{ALGORITHM} {base64.b64encode(self.raw).decode()} {self.name}"


@dataclass(frozen=True)
class Trust:
    """Whose bundles may run, and whether a bundle has to be signed at all."""

    keys: tuple[PublicKey, ...] = ()
    is_required: bool = True


@dataclass(frozen=True)
class Standing:
    """What is known about the maker of a bundle. ``signer`` is the key's name, or its id."""

    state: State
    signer: str | None
    message: str


class _SignatureDocument(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"
    algorithm: Literal["ed25519"] = "ed25519"
    key_id: str
    files_sha256: dict[str, str]
    signature: str


def public_key_of(key: Ed25519PrivateKey, name: str) -> PublicKey:
    """The public half of a private key."""
    return PublicKey(name, key.public_key().public_bytes_raw())


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write ``SIGNATURE`` for the files as they are now, in place of an earlier one."""
    digests = _digests(folder)
    document = _SignatureDocument(
        key_id=public_key_of(key, "").key_id,
        files_sha256=digests,
        signature=base64.b64encode(key.sign(signed_text(digests))).decode(),
    )
    path = folder / SIGNATURE_FILE
    path.write_text(document.model_dump_json(indent=2) + "\n")
    return path


def standing_of(folder: Path, keys: Iterable[PublicKey]) -> Standing:
    """What the signature of a bundle is worth to somebody who trusts these keys."""
    name = f"{folder.parent.name} {folder.name}"
    if not (folder / SIGNATURE_FILE).is_file():
        return Standing("missing", None, f"The bundle {name} is not signed.")
    try:
        document = _SignatureDocument.model_validate_json((folder / SIGNATURE_FILE).read_bytes())
        signature = base64.b64decode(document.signature, validate=True)
    except ValueError:  # pydantic's and base64's errors are kinds of it
        return Standing("invalid", None, f"The bundle {name} has an unreadable SIGNATURE.")
    if fault := _difference(document.files_sha256, _digests(folder)):
        return Standing("invalid", document.key_id, f"The bundle {name} was altered: {fault}.")
    key = next((one for one in keys if one.key_id == document.key_id), None)
    if key is None:
        message = f"The bundle {name} is signed with the key {document.key_id}, not trusted here."
        return Standing("not trusted", document.key_id, message)
    try:
        text = signed_text(document.files_sha256)
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, text)
    except InvalidSignature:
        return Standing("invalid", key.name, f"The signature of the bundle {name} is false.")
    return Standing("valid", key.name, f"Signed by {key.name} ({key.key_id}).")


_REFUSALS: Mapping[State, type[BundleError]] = {
    "missing": SignatureMissing,
    "invalid": SignatureInvalid,
    "not trusted": SignerNotTrusted,
}
_ADVICE: Mapping[State, str] = {
    "missing": "Sign it (willis-train sign), or set WILLIS_REQUIRE_SIGNATURE=false.",
    "invalid": "Install the bundle again from where it came.",
    "not trusted": "Add its maker's public key to the file WILLIS_TRUSTED_KEYS, if you know them.",
}


def check_signature(folder: Path, trust: Trust) -> Standing:
    """Let a bundle pass, or raise SignatureMissing, SignatureInvalid or SignerNotTrusted.

    Where no signature is required, an altered bundle is refused all the same.
    """
    standing = standing_of(folder, trust.keys)
    is_refused = standing.state == "invalid" or (trust.is_required and standing.state != "valid")
    if is_refused:
        raise _REFUSALS[standing.state](f"{standing.message} {_ADVICE[standing.state]}")
    return standing


def signed_text(files_sha256: Mapping[str, str]) -> bytes:
    """What is signed: a heading, then digest and name of each file, sorted by name."""
    lines = (f"{digest}  {name}" for name, digest in sorted(files_sha256.items()))
    return "\n".join((_HEADING, *lines, "")).encode()


def read_trusted_keys(path: Path) -> tuple[PublicKey, ...]:
    """The keys in a file: ``ed25519 <base64> <name>`` a line; # begins a comment.

    Raises TrustedKeysInvalid.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrustedKeysInvalid(f"No readable file of trusted keys at {path}.") from error
    wanted = ((n, line.strip()) for n, line in enumerate(lines, start=1))
    return tuple(
        _parse_key(line, f"{path}, line {n}") for n, line in wanted if line and line[0] != "#"
    )


def _parse_key(line: str, where: str) -> PublicKey:
    parts = line.split(maxsplit=2)
    try:
        algorithm, encoded, name = parts
        raw = base64.b64decode(encoded, validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
        if algorithm != ALGORITHM:
            raise ValueError(algorithm)
    except ValueError as error:
        raise TrustedKeysInvalid(f"{where}: expected '{ALGORITHM} <base64> <name>'.") from error
    return PublicKey(name, raw)


def _digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: sha256_of(path) for name, path in found.items() if name != SIGNATURE_FILE}


def _difference(signed: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """What differs first, in words; file names only."""
    for name in sorted({*signed, *found}):
        if not name.isprintable():  # a line break would make two files of one in what is signed
            return "a file has a name that can't be signed"
        if name not in found:
            return f"{name} is missing"
        if name not in signed:
            return f"{name} was added"
        if signed[name] != found[name]:
            return f"{name} was changed"
    return None
