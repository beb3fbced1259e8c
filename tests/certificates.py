"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is not installed"
)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: Path
    key: Path


def make_ca(folder: Path, name: str) -> Identity:
    ca = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl("req", "-x509", *_new_key(name, ca.key), "-out", ca.certificate, *extensions)
    return ca


def make_identity(folder: Path, name: str, ca: Identity) -> Identity:
    """A certificate for 127.0.0.1 from this CA."""
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl("req", *_new_key(name, made.key), "-out", request)
    issuer = ("-CA", ca.certificate, "-CAkey", ca.key, "-CAcreateserial", "-days", "30")
    _openssl(
        "x509", "-req", "-in", request, *issuer, "-extfile", extensions, "-out", made.certificate
    )
    return made


def _new_key(name: str, path: Path) -> tuple[str | Path, ...]:
    return ("-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", path)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)
