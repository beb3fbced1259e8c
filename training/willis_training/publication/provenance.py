"""Which code trained a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

from willis_models.manifest import Provenance

_SOURCE = Path(__file__).resolve().parent


def provenance_of(data_sha256: str | None) -> Provenance:
    """The commit of this code, and the digest of the data that the model learnt from."""
    return Provenance(commit=training_commit(), data_sha256=data_sha256)


def training_commit(folder: Path = _SOURCE) -> str | None:
    """The commit of the working tree, with ``-dirty`` where files differ from it.

    None outside a working tree: then the version of the package is all that is known.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain", "-uno") else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ("git", "-C", str(folder), *arguments)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
