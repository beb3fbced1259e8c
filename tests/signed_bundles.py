"""Keys for tests, and the files that a service reads them from."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from willis_models.runtime.signature import PublicKey, public_key_of

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def public(key: Ed25519PrivateKey = KEY, name: str = "test key") -> PublicKey:
    return public_key_of(key, name)


def write_trusted_keys(path: Path, *keys: Ed25519PrivateKey) -> Path:
    path.write_text("# for tests\n\n" + "".join(f"{public(key).line}\n" for key in keys))
    return path
