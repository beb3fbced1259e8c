"""Which role a NIfTI file takes: by the end of its name, as BIDS and the ISLES'24 data name files.

A NIfTI file does not say what it shows. ``sub-stroke0001_ses-01_space-ncct_tmax.nii.gz`` ends in
``tmax``; ``space-ncct`` says on which grid it lies, and is no role.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from willis_models.pipelines.base import Role

NIFTI_SUFFIXES = (".nii", ".nii.gz")
SIDECAR_SUFFIX = ".json"
KNOWN_ROLES = ("ctp", "tmax", "cbf", "cbv", "mtt", "ttp", "ncct", "cta")
"""The names that an upload may end in; nothing else of a client's file name is kept."""
_SPACE = re.compile(r"space-[a-z0-9]+")
_SPLIT = re.compile(r"[^a-z0-9]+")


def is_nifti(path: Path) -> bool:
    """Whether a file is a NIfTI image by its name."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def role_named(name: str, roles: Sequence[str]) -> str | None:
    """The last part of a file's name that is one of the roles."""
    stem = name.lower().partition(".")[0]
    words = _SPLIT.split(_SPACE.sub("", stem))
    return next((word for word in reversed(words) if word in roles), None)


def lies_on_native_grid(name: str) -> bool:
    """Whether a file's name says that the image lies on the grid of another one."""
    return _SPACE.search(name.lower()) is not None


def by_role(files: Sequence[Path], roles: Sequence[Role]) -> Mapping[str, Sequence[Path]]:
    """The image of each role, and its sidecar behind it; files of no role are left out.

    Of several the one that was brought onto the grid of the native CT goes first, since images
    that lie on each other need no registration; for the native CT itself it is the other way round.
    """
    names = [role.name for role in roles]
    found: dict[str, list[Path]] = defaultdict(list)
    for path in sorted(files):
        name = role_named(path.name, names)
        if name is not None and (is_nifti(path) or path.suffix == SIDECAR_SUFFIX):
            found[name].append(path)
    return {name: chosen for name in names if (chosen := _chosen(name, found[name]))}


def _chosen(role: str, files: Sequence[Path]) -> list[Path]:
    images = [path for path in files if is_nifti(path)]
    sidecars = [path for path in files if not is_nifti(path)]
    if not images:
        return []
    wants_space = role != "ncct"
    best = min(images, key=lambda path: lies_on_native_grid(path.name) is not wants_space)
    beside = [one for one in sidecars if one.stem == best.name.partition(".")[0]]
    return [best, *(beside or sidecars)[:1]]
