"""ISLES'24 as it was published: which file is which.

::

    train/raw_data/sub-stroke0001/ses-01/sub-stroke0001_ses-01_{ncct,cta,ctp}.nii.gz
                                  ses-01/perfusion-maps/sub-stroke0001_ses-01_{tmax,...}.nii.gz
                                  ses-02/sub-stroke0001_ses-02_{dwi,adc}.nii.gz
    train/derivatives/sub-stroke0001/ses-01/sub-stroke0001_ses-01_space-ncct_{cta,ctp}.nii.gz
                                     ses-01/perfusion-maps/..._space-ncct_{tmax,cbf,cbv,mtt}.nii.gz
                                     ses-02/sub-stroke0001_ses-02_space-ncct_lesion-msk.nii.gz
    train/phenotype/sub-stroke0001/ses-01/sub-stroke0001_ses-01_demographic_baseline.csv
                                   ses-02/sub-stroke0001_ses-02_outcome.csv

Riedel et al., arXiv 2408.11142; zenodo.org/records/16813698 and later versions. The published
variants are read too: the challenge's batches (``batch_1/derivatives/...``, ``lesion-msk`` without
its space), ``sub-strokecase0001``, ``ses-0001``, ``rawdata``, .nii, tables as .xlsx.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from willis_training.datasets.base import Subject
from willis_training.datasets.bids_derivative import LESION
from willis_training.datasets.bids_names import BidsName
from willis_training.datasets.isles24.phenotype import clinical_facts

REFERENCE = "ncct"
"""The image that everything else lies on."""
MAPS = ("cbf", "cbv", "mtt", "tmax")
ROLES = (REFERENCE, "cta", "ctp", *MAPS)
EXPECTED = (REFERENCE, "cta", *MAPS)
"""What every published case has; the series itself is missing in some."""
DYNAMIC = frozenset({"ctp"})
_DERIVED, _RAW, _TABLES = ("derivatives",), ("raw_data", "rawdata", "raw"), ("phenotype",)
_ACUTE, _LATER = re.compile(r"ses-0*1"), re.compile(r"ses-0*2")
_LESION = ("lesion-msk", "lesion", "msk")


@dataclass(frozen=True)
class Isles24:
    """The cases below ``parts``: folders that hold derivatives, raw_data and phenotype."""

    parts: tuple[Path, ...]
    name: str = "ISLES'24"
    label_names: Mapping[int, str] = field(default_factory=lambda: dict(LESION))

    def subjects(self) -> Sequence[Subject]:
        """All cases, sorted by id. Reads the small clinical tables, no image."""
        found = [_subject(part, name) for part in self.parts for name in _case_names(part)]
        return sorted(found, key=lambda subject: subject.subject_id)


def open_isles24(root: Path) -> Isles24:
    """Open the download, its ``train`` folder, or a folder of the challenge's batches.

    Raises FileNotFoundError where no derivatives or raw_data folder with cases lies below.
    """
    if root.name in (*_DERIVED, *_RAW):
        root = root.parent
    candidates = [root, *sorted(root.glob("*")), *sorted(root.glob("*/*"))]
    parts = tuple(folder for folder in candidates if folder.is_dir() and _case_names(folder))
    if not parts:
        raise FileNotFoundError(
            f"{root} holds no ISLES'24 cases (derivatives/sub-stroke0001/ses-01). Give the "
            "unpacked `train` folder, or the one that holds it."
        )
    return Isles24(parts)


def _case_names(part: Path) -> list[str]:
    above = [folder for name in (*_DERIVED, *_RAW) if (folder := part / name).is_dir()]
    return sorted({p.name for folder in above for p in folder.glob("sub-*") if p.is_dir()})


def _subject(part: Path, case: str) -> Subject:
    acute = _names(part, case, _ACUTE)
    images = {role: path for role in ROLES if (path := _best(acute, (role,))) is not None}
    facts = clinical_facts([part / name / case for name in _TABLES])
    centre = facts.pop("centre", None)
    absent = [role for role in EXPECTED if role not in images]
    return Subject(
        subject_id=case,
        site=None if centre is None else f"centre_{centre}",
        images=images,
        label=_best(_names(part, case, _LATER), _LESION),
        facts={"part": "training", **facts},
        dynamic=DYNAMIC & images.keys(),
        absent=(*absent, *(() if facts else ("facts",))),
    )


def _names(part: Path, case: str, session: re.Pattern[str]) -> list[BidsName]:
    """The case's named files of one session; those on the NCCT's grid come first."""
    folders = [
        folder
        for name in (*_DERIVED, *_RAW)
        for folder in sorted((part / name / case).glob("ses-*"))
        if session.fullmatch(folder.name)
    ]
    paths: Iterable[Path] = (path for folder in folders for path in sorted(folder.rglob("*.nii*")))
    return [name for path in paths if (name := BidsName.of(path)) is not None]


def _best(names: Sequence[BidsName], suffixes: Sequence[str]) -> Path | None:
    """Of several files with a suffix, one in NCCT space; else a derived one; else the raw one."""
    fitting = [name for name in names if name.suffix in suffixes]
    in_space = [name for name in fitting if name.entities.get("space") == REFERENCE]
    chosen = (in_space or fitting)[:1]
    return chosen[0].path if chosen else None
