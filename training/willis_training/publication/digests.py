"""Digests that stand for many files or cases: of the data learnt from, and of a test set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from willis_models.manifest import sha256_of


def digest_of_cases(cases: Mapping[str, str]) -> str:
    """One digest for cases by name, each with its own digest or any text that stands for it.

    The order does not matter; a case more, less or changed gives another digest.
    """
    return hashlib.sha256(json.dumps(sorted(cases.items())).encode()).hexdigest()


def digest_of_files(files: Iterable[Path], root: Path) -> str:
    """One digest for files, each known by its path below ``root``."""
    return digest_of_cases({p.relative_to(root).as_posix(): sha256_of(p) for p in files})
