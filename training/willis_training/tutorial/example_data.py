"""A small data set in BIDS: one head CT deformed into many, with the twenty regions carried along.

Every subject is the same simulated head under another smooth map, so that a network learns the
way's steps from it and nothing about patients. One more subject is written as a DICOM series, to
send to a service.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS, SIDES
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.volume import SliceStack, Volume
from willis_training.curation.nifti import encode_nifti
from willis_training.simulation.archive.heads import (
    BaseHead,
    Deformation,
    LabelledScan,
    Protocol,
    scan_deformed,
)
from willis_training.simulation.dicom_series import StudyLabel, Subject, write_dicom_series
from willis_training.simulation.scanner import Scanner

DERIVATIVE = "regions"
UNSEEN = "unseen"
PROTOCOL = Protocol()
DEFORMATION = Deformation()


@dataclass(frozen=True)
class ExampleData:
    """Where everything lies: the BIDS data set, and the DICOM series of a subject outside it."""

    bids: Path
    series: Path


def write_example_data(
    base: BaseHead,
    folder: Path,
    subjects: int,
    seed: int = 0,
    protocol: Protocol = PROTOCOL,
    report: Callable[[str], None] = lambda _line: None,
) -> ExampleData:
    """Deform a head into ``subjects`` labelled ones and one to predict.

    The same head, seed and protocol give the same files. ``report`` gets a line for each subject.
    """
    bids, series = folder / "bids", folder / UNSEEN
    _write_tables(bids, subjects)
    for number in range(1, subjects + 1):
        scan = scan_deformed(base, DEFORMATION, protocol, np.random.default_rng((seed, number)))
        _write_subject(bids, f"sub-{number:02d}", scan, protocol)
        report(f"sub-{number:02d}")
    unseen = scan_deformed(base, DEFORMATION, protocol, np.random.default_rng((seed, 0)))
    _write_series(unseen.stack, seed, protocol, series)
    report(UNSEEN)
    return ExampleData(bids, series)


def _write_tables(bids: Path, subjects: int) -> None:
    derivative = bids / "derivatives" / DERIVATIVE
    derivative.mkdir(parents=True, exist_ok=True)
    for folder, kind in ((bids, "raw"), (derivative, "derivative")):
        described: dict[str, Any] = {
            "Name": f"Willis example, {kind}",
            "BIDSVersion": "1.10.0",
            "DatasetType": kind,
            "License": "CC0",
            "HowToAcknowledge": INTENDED_USE_STATEMENT,
        }
        (folder / "dataset_description.json").write_text(json.dumps(described, indent=1) + "\n")
    names = [f"{side}_{region}" for side in SIDES for region in ASPECTS_REGIONS]
    rows = ["index\tname", *(f"{n}\t{name}" for n, name in enumerate(names, start=1))]
    (derivative / "dseg.tsv").write_text("\n".join(rows) + "\n")
    people = ["participant_id\tsite", *(f"sub-{n:02d}\tA" for n in range(1, subjects + 1))]
    (bids / "participants.tsv").write_text("\n".join(people) + "\n")


def _write_subject(bids: Path, name: str, scan: LabelledScan, protocol: Protocol) -> None:
    image = bids / name / "ct" / f"{name}_ct.nii.gz"
    labels = bids / "derivatives" / DERIVATIVE / name / "ct" / f"{name}_dseg.nii.gz"
    for path, voxels in ((image, scan.stack.voxels), (labels, scan.regions)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_nifti(_volume(scan.stack, voxels)))
    facts = {"Modality": "CT", "SliceThickness": protocol.step_mm}
    image.with_name(f"{name}_ct.json").write_text(json.dumps(facts, indent=1) + "\n")


def _volume(stack: SliceStack, voxels: NDArray[Any]) -> Volume:
    """Slices without tilt as a regular volume."""
    affine = np.eye(4)
    affine[:3, 0] = stack.origins_lps[1] - stack.origins_lps[0]
    affine[:3, 1], affine[:3, 2] = stack.column_step_lps, stack.row_step_lps
    affine[:3, 3] = stack.origins_lps[0]
    return Volume(voxels, affine)


def _write_series(stack: SliceStack, seed: int, protocol: Protocol, folder: Path) -> None:
    scanner = Scanner(
        thickness_mm=protocol.step_mm,
        field_of_view_mm=protocol.field_of_view_mm,
        matrix=protocol.matrix,
        noise_hu=protocol.noise_hu,
    )
    subject = Subject("Willis^Example", "WILLIS-EXAMPLE", "19500601", 75, "O")
    study = StudyLabel(
        key=f"example/{seed}",
        description="SIMULATED head CT, example",
        series_description="Head 5 mm without contrast",
        date="20260105",
        time="081500",
    )
    write_dicom_series(stack, scanner, subject, study, folder)
