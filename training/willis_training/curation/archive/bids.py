"""The data set's layout: BIDS folders and names, its tables, and files written whole or not at all.

::

    OUT/
      dataset_description.json  participants.tsv  participants.json  README  .bidsignore
      sub-<p>/sub-<p>_sessions.tsv
      sub-<p>/ses-<s>/ct/sub-<p>_ses-<s>_acq-<a>_ct.nii.gz, .json
      derivatives/curation/           report.md, report.json, cases.html, pictures/
      derivatives/outlines/sub-...    ..._points.tsv.gz: the drawn outlines as points, LPS mm
      derivatives/raw/sub-...         ..._ct.nii.gz, ..._dseg.nii.gz  (as scanned)
      derivatives/stripped/sub-...    the same, brain only
      derivatives/registered/sub-...  the same, brain only, on the template's grid

BIDS has no data type for CT yet; ``ct`` follows the proposals, and ``.bidsignore`` says so.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from willis_models.codes import ASPECTS_REGIONS
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.curation.archive.pseudonyms import CaseName

BIDS_VERSION = "1.10.0"
VARIANTS = ("raw", "stripped", "registered")
LABEL_NAMES = {0: "background"} | {
    side * 10 + number: f"{region} {name}"
    for side, name in enumerate(("left", "right"))
    for number, region in enumerate(ASPECTS_REGIONS, start=1)
}


@dataclass(frozen=True)
class Layout:
    """Paths below the root of a curated data set."""

    root: Path

    def image(self, name: CaseName) -> Path:
        """The converted image."""
        return self.root / name.folder / f"{name.stem}_ct.nii.gz"

    def sidecar(self, name: CaseName) -> Path:
        """The facts beside it."""
        return self.root / name.folder / f"{name.stem}_ct.json"

    def points(self, name: CaseName) -> Path:
        """The outlines drawn on it."""
        return self.derivative("outlines") / name.folder / f"{name.stem}_points.tsv.gz"

    def variant_image(self, variant: str, name: CaseName) -> Path:
        """The image of a labelled variant."""
        return self.derivative(variant) / name.folder / f"{name.stem}_ct.nii.gz"

    def variant_labels(self, variant: str, name: CaseName) -> Path:
        """Its labels, on the same grid."""
        return self.derivative(variant) / name.folder / f"{name.stem}_dseg.nii.gz"

    def derivative(self, name: str) -> Path:
        """A derivative's root."""
        return self.root / "derivatives" / name

    @property
    def reports(self) -> Path:
        """Report and pictures."""
        return self.derivative("curation")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """A JSON file."""
    write_whole(path, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A tab-separated table as BIDS wants it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def write_root(layout: Layout, name: str) -> None:
    """What every BIDS data set has at its root."""
    write_json(layout.root / "dataset_description.json", _description(name, "raw"))
    write_json(layout.root / "participants.json", _PARTICIPANTS)
    write_whole(layout.root / "README", _README.encode())
    write_whole(layout.root / ".bidsignore", b"**/ct/\nderivatives/\n")


def write_variant_roots(layout: Layout) -> None:
    """Each derivative is a data set of its own, with the meaning of its labels."""
    for variant in (*VARIANTS, "outlines"):
        root = layout.derivative(variant)
        write_json(root / "dataset_description.json", _description(variant, "derivative"))
    for variant in VARIANTS:
        rows = ((value, name) for value, name in LABEL_NAMES.items())
        write_whole(layout.derivative(variant) / "dseg.tsv", table(("index", "name"), rows))


def _description(name: str, kind: str) -> dict[str, Any]:
    return {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": kind,
        "GeneratedBy": [{"Name": "willis-train curate"}],
        "IntendedUse": INTENDED_USE_STATEMENT,
    }


_PARTICIPANTS = {
    "age_band": {"Description": "Age at the first kept study, five-year bands", "Units": "years"},
    "sex": {"Levels": {"M": "male", "F": "female", "O": "other", "n/a": "not known"}},
    "sessions": {"Description": "How many studies were kept"},
}
_README = f"""CT series curated by willis-train curate.

{INTENDED_USE_STATEMENT}

Names of subjects, sessions and series are keyed hashes; dates are days since a subject's first
kept study. The images show the head as scanned: a face can be rendered from them. Share the
variant derivatives/stripped, or take the faces off first.
"""
