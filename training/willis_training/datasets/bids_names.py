"""File names of the Brain Imaging Data Structure, and which image belongs to which label map."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NIFTI = (".nii.gz", ".nii")
LABEL_SUFFIXES = ("mask", "dseg")
_DISTINGUISHING = ("acq", "run")
_SHARED = ("acq", "run", "space", "res", "desc")


@dataclass(frozen=True)
class BidsName:
    """A file name taken apart: ``sub-01_ses-2_space-x_T1w.nii.gz``."""

    path: Path
    entities: Mapping[str, str]
    suffix: str

    @staticmethod
    def of(path: Path) -> BidsName | None:
        """The parts of a NIfTI file's name; None for another file or a name without a subject."""
        ending = next((e for e in NIFTI if path.name.endswith(e)), None)
        if ending is None or path.name.startswith("."):
            return None
        *pairs, suffix = path.name.removesuffix(ending).split("_")
        entities = dict(pair.split("-", 1) for pair in pairs if "-" in pair)
        return BidsName(path, entities, suffix) if "sub" in entities else None

    @property
    def is_label(self) -> bool:
        """Whether it names a label map."""
        return self.suffix in LABEL_SUFFIXES

    @property
    def role(self) -> str:
        """The image's role: its suffix in small letters; CT is "ncct", with contrast "cta"."""
        if self.suffix.lower() == "ct":
            return "cta" if "ce" in self.entities else "ncct"
        return self.suffix.lower()

    @property
    def session(self) -> str:
        """``sub-01_ses-2``, or ``sub-01`` where there are no sessions."""
        parts = [f"sub-{self.entities['sub']}"]
        if "ses" in self.entities:
            parts.append(f"ses-{self.entities['ses']}")
        return "_".join(parts)

    @property
    def examination(self) -> str:
        """The session, with the acquisition and run where the name has them."""
        named = [f"{key}-{self.entities[key]}" for key in _DISTINGUISHING if key in self.entities]
        return "_".join([self.session, *named])

    def agreement_with(self, other: BidsName) -> int | None:
        """How many entities both share; None where the acquisition, run or space differ."""
        common = [k for k in _SHARED if k in self.entities and k in other.entities]
        equal = [k for k in common if self.entities[k] == other.entities[k]]
        if any(k not in equal and k != "desc" for k in common):
            return None
        return len(equal)


@dataclass(frozen=True)
class Examination:
    """One label map with the images that fit it, or the images of a session without one."""

    name: str
    images: Mapping[str, Path]
    label: Path | None


def examinations(files: Iterable[BidsName]) -> list[Examination]:
    """Group the files of a data set: each label map is an examination of its own.

    Of several images with one role, the one that shares most entities with the label map is taken,
    and of those the first in the order given.
    """
    sessions: dict[str, list[BidsName]] = {}
    for file in files:
        sessions.setdefault(file.session, []).append(file)
    return [found for name in sorted(sessions) for found in _of_session(name, sessions[name])]


def _of_session(session: str, files: list[BidsName]) -> list[Examination]:
    labels = [file for file in files if file.is_label]
    images = [file for file in files if not file.is_label]
    if not labels:
        first = {image.role: image.path for image in reversed(images)}
        return [Examination(session, first, None)]
    return [
        Examination(label.examination, _images_for(label, images), label.path) for label in labels
    ]


def _images_for(label: BidsName, images: list[BidsName]) -> dict[str, Path]:
    best: dict[str, tuple[int, Path]] = {}
    for image in images:
        shared = label.agreement_with(image)
        if shared is not None and shared > best.get(image.role, (-1, Path()))[0]:
            best[image.role] = (shared, image.path)
    return {role: path for role, (_, path) in sorted(best.items())}


def names_below(folder: Path) -> list[BidsName]:
    """All named NIfTI files in the subject folders of ``folder``, sorted by path."""
    paths = (p for subject in sorted(folder.glob("sub-*")) for p in sorted(subject.rglob("*.nii*")))
    return [name for name in map(BidsName.of, paths) if name is not None]


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a .tsv or .csv file; empty where it is not there."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))


def read_sidecar(image: Path) -> dict[str, Any]:
    """The JSON beside an image; empty where there is none."""
    ending = next(e for e in NIFTI if image.name.endswith(e))
    sidecar = image.with_name(image.name.removesuffix(ending) + ".json")
    if not sidecar.exists():
        return {}
    content = json.loads(sidecar.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def number(text: str | None) -> float | None:
    """A table's cell as a number; None for ``n/a``, an empty cell or another word."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
