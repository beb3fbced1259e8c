"""A plain BIDS derivative of one's own: label maps in a derivative, images there or in the raw set.

::

    ROOT/dataset_description.json  participants.tsv
    ROOT/sub-01/[ses-1/]anat/sub-01_[ses-1_]T1w.nii.gz
    ROOT/derivatives/lesions/dseg.tsv                                (index, name)
    ROOT/derivatives/lesions/sub-01/[ses-1/]anat/sub-01_[ses-1_]dseg.nii.gz   (or ..._mask.nii.gz)

``ROOT`` or ``ROOT/derivatives/lesions`` can be opened. A derivative that holds its own images
(another space, brain only) comes before the raw ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis_training.datasets.base import Fact, Subject
from willis_training.datasets.bids_names import (
    Examination,
    examinations,
    names_below,
    number,
    read_sidecar,
    read_table,
)

LESION: Mapping[int, str] = {0: "background", 1: "lesion"}
_NUMBERS = ("age", "days_post_stroke", "nihss")
_WORDS = ("part", "sex", "age_band", "group")
_SIDECAR = {
    "SliceThickness": "thickness_mm",
    "GantryDetectorTilt": "tilt_deg",
    "MagneticFieldStrength": "field_t",
    "Manufacturer": "manufacturer",
}


@dataclass(frozen=True)
class BidsDerivative:
    """Label maps of one derivative with their images. ``raw`` is None where it stands alone."""

    name: str
    folder: Path
    raw: Path | None
    label_names: Mapping[int, str]

    def subjects(self) -> Sequence[Subject]:
        """All examinations, sorted by id."""
        files = names_below(self.folder)
        if self.raw is not None:
            files += [name for name in names_below(self.raw) if not name.is_label]
        people = _participants(self.folder) | (_participants(self.raw) if self.raw else {})
        return sorted(
            (self._subject(found, people) for found in examinations(files)),
            key=lambda subject: subject.subject_id,
        )

    def _subject(self, found: Examination, people: Mapping[str, dict[str, str]]) -> Subject:
        row = people.get(found.name.partition("_")[0], {})
        facts: dict[str, Fact] = {word: row[word] for word in _WORDS if row.get(word)}
        facts |= {key: v for key in _NUMBERS if (v := number(row.get(key))) is not None}
        for image in found.images.values():
            facts |= self._acquired(image)
        return Subject(found.name, row.get("site") or None, found.images, found.label, facts)

    def _acquired(self, image: Path) -> dict[str, Fact]:
        """What the sidecar says of how an image was made; the raw image's where it has none."""
        content = read_sidecar(image)
        if not content and self.raw is not None and image.is_relative_to(self.folder):
            content = read_sidecar(self.raw / image.relative_to(self.folder))
        known = {ours: content[theirs] for theirs, ours in _SIDECAR.items() if theirs in content}
        return {key: value for key, value in known.items() if isinstance(value, (str, int, float))}


def open_bids_derivative(root: Path) -> BidsDerivative:
    """Open a derivative, or the one derivative with label maps of a data set.

    Raises FileNotFoundError where there is none, ValueError where there are several.
    """
    folder = _derivative_of(root)
    inside = folder.parent.name == "derivatives"
    raw = folder.parent.parent if inside else None
    name = f"{raw.name}/{folder.name}" if raw is not None else folder.name
    return BidsDerivative(name, folder, raw, label_names_of(folder))


def _derivative_of(root: Path) -> Path:
    below = sorted(p for p in (root / "derivatives").glob("*") if _has_labels(p))
    if not below:
        if not any(root.glob("sub-*")):
            raise FileNotFoundError(
                f"{root} holds no sub-* folder and no derivative with label maps (*_dseg.nii.gz or "
                "*_mask.nii.gz). Give the data set's root, or ROOT/derivatives/<name>."
            )
        return root
    if len(below) > 1:
        names = ", ".join(p.name for p in below)
        raise ValueError(f"{root} has several derivatives with label maps ({names}): give one.")
    return below[0]


def _has_labels(folder: Path) -> bool:
    return any(name.is_label for name in names_below(folder))


def label_names_of(folder: Path) -> Mapping[int, str]:
    """Label values from ``dseg.tsv`` (columns index and name); a lesion mask's where none lies."""
    tables = sorted(folder.glob("*dseg.tsv"))
    if not tables:
        return LESION
    named = {int(row["index"]): row["name"] for row in read_table(tables[0])}
    return {0: "background"} | named


def _participants(folder: Path) -> dict[str, dict[str, str]]:
    rows = read_table(folder / "participants.tsv")
    return {row["participant_id"]: row for row in rows if row.get("participant_id")}
