"""ATLAS v2 (Anatomical Tracings of Lesions After Stroke), in the layouts it was published in.

::

    ATLAS_2/Training/R001/sub-r001s001/ses-1/anat/                            v2.0
        sub-r001s001_ses-1_space-MNI152NLin2009aSym_T1w.nii.gz
        sub-r001s001_ses-1_space-MNI152NLin2009aSym_label-L_desc-T1lesion_mask.nii.gz
    ATLAS_2/Testing/R005/...                                                  no masks
    Training_Raw/R001/sub-r001s001/ses-1/anat/                                v2.1 and later, native
        sub-r001s001_ses-1_space-orig_desc-brain_T1w.nii.gz
        sub-r001s001_ses-1_space-orig_label-lesion_desc-T1lesion_mask.nii.gz
        sub-r001s001_ses-1_metadata.csv
    train/derivatives/ATLAS/sub-r001s001/ses-1/anat/...                       the challenge's

Liew et al., Scientific Data 2022, doi 10.1038/s41597-022-01401-7; by application from
fcon_1000.projects.nitrc.org/indi/retro/atlas.html. Native images are stored in several
orientations (RAS, LAS, PSR, PSL...): reading turns them, nothing here looks at array axes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from willis_training.datasets.base import Fact, Subject
from willis_training.datasets.bids_derivative import LESION
from willis_training.datasets.bids_names import (
    Examination,
    examinations,
    names_below,
    number,
    read_table,
)

_SITE_FOLDER = re.compile(r"R\d{3}|SOOP")
_TESTING = re.compile(r"test|testing(_raw)?", re.IGNORECASE)
_SITE_IN_SUBJECT = re.compile(r"sub-(r\d{3})s\d+", re.IGNORECASE)


@dataclass(frozen=True)
class AtlasV2:
    """The training and testing parts that lie below ``root``."""

    root: Path
    name: str = "ATLAS v2"
    label_names: Mapping[int, str] = field(default_factory=lambda: dict(LESION))

    def subjects(self) -> Sequence[Subject]:
        """All sessions, sorted by id; the testing part has no label maps."""
        found = [
            _subject(folder, examination, self._part(folder, examination))
            for folder in site_folders(self.root)
            for examination in examinations(names_below(folder))
        ]
        return sorted(found, key=lambda subject: subject.subject_id)

    def _part(self, folder: Path, found: Examination) -> str:
        """Testing only where no mask lies there: the package of the challenge keeps some."""
        above = (self.root.parent.name, self.root.name, *folder.relative_to(self.root).parts)
        hidden = found.label is None and any(_TESTING.fullmatch(name) for name in above)
        return "testing" if hidden else "training"


def open_atlas_v2(root: Path) -> AtlasV2:
    """Open ATLAS at any level: the download, one part, or one site.

    Raises FileNotFoundError where no sub-r001s001-like folder lies below.
    """
    if not site_folders(root):
        raise FileNotFoundError(
            f"{root} holds no ATLAS subjects (R001/sub-r001s001/ses-1/anat). Give the unpacked "
            "ATLAS_2 folder, or its Training folder."
        )
    return AtlasV2(root)


def site_folders(root: Path) -> list[Path]:
    """The folders that hold subject folders, down to four levels below ``root``."""
    levels = ("sub-*", "*/sub-*", "*/*/sub-*", "*/*/*/sub-*", "*/*/*/*/sub-*")
    subjects = {p for level in levels for p in root.glob(level) if p.is_dir()}
    return sorted({p.parent for p in subjects if not p.parent.name.startswith(("sub-", "ses-"))})


def _subject(folder: Path, found: Examination, part: str) -> Subject:
    session = found.name.partition("_acq-")[0].partition("_run-")[0]
    facts: dict[str, Fact] = {"part": part}
    first = next((p for p in (found.label, *found.images.values()) if p is not None), None)
    if first is not None:
        facts |= _after_stroke(first.parent / f"{session}_metadata.csv")
    return Subject(session, _site(folder, session), found.images, found.label, facts)


def _site(folder: Path, subject: str) -> str | None:
    if _SITE_FOLDER.fullmatch(folder.name):
        return folder.name
    within = _SITE_IN_SUBJECT.match(subject)
    return within.group(1).upper() if within else None


def _after_stroke(metadata: Path) -> dict[str, Fact]:
    """Days since the stroke; 0 and below stand for "not known" in the published tables."""
    rows = read_table(metadata)
    days = number(rows[0].get("DAYS_POST_STROKE")) if rows else None
    return {"days_post_stroke": days} if days is not None and days > 0 else {}
