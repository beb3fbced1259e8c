"""Signing keys: made once, the private half kept out of every repository."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from willis_models.runtime.signature import PublicKey, public_key_of

KEY_VARIABLE = "WILLIS_SIGNING_KEY"


class SigningKeyError(RuntimeError):
    """There is no private key to sign with, or none that can be used."""


@dataclass(frozen=True)
class KeyPair:
    """Where the private key lies, and the public one that others are given."""

    private_path: Path
    public_path: Path
    public: PublicKey


def make_key_pair(private_path: Path, name: str) -> KeyPair:
    """Write a new key (PEM, 0600) and beside it ``.pub``, a line for a file of trusted keys.

    Raises SigningKeyError where there is a key already: what it signed would lose its signer.
    """
    key = Ed25519PrivateKey.generate()
    private_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(private_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise SigningKeyError(f"{private_path} exists: keep it, or name another file.") from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        stream.flush()
        os.fsync(descriptor)
    public, public_path = public_key_of(key, name), private_path.with_suffix(".pub")
    public_path.write_text(public.line + "\n")
    return KeyPair(private_path, public_path, public)


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a PEM file. Raises SigningKeyError."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise SigningKeyError(
            f"No usable private key at {path}: make one with willis-train keygen, or name it with "
            f"--key or {KEY_VARIABLE}."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{path} is not an Ed25519 key: make one with willis-train keygen.")
    return key
