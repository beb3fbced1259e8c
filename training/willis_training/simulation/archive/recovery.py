"""How well curation recovered the labels of a simulated archive whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from willis_models.imaging.resample import sample_labels
from willis_models.volume import Floats, SliceStack
from willis_training.curation.archive.bids import Layout
from willis_training.curation.archive.pseudonyms import Pseudonyms
from willis_training.curation.nifti import read_nifti
from willis_training.metrics import dice
from willis_training.simulation.archive.truth import WrittenArchive

REGIONS = 20


def recovered_dice(
    written: WrittenArchive, layout: Layout, names: Pseudonyms
) -> dict[str, tuple[float, ...]]:
    """Dice of the 20 regions with the truth, on the scanned slices, for each labelled series.

    A region that a scan does not show is NaN. Series that were set aside are missing.
    """
    found = {}
    for header in _outlined(written):
        uid = str(header.SeriesInstanceUID)
        name = names.case(str(header.PatientID), str(header.StudyInstanceUID), uid)
        path = layout.variant_labels("raw", name)
        if path.is_file():
            found[uid] = _dice(written, uid, path)
    return found


def _outlined(written: WrittenArchive) -> Iterator[Dataset]:
    """One header of each series whose truth is known."""
    for folder in sorted(written.folder.glob("SER*")):
        header = dcmread(sorted(folder.iterdir())[0], stop_before_pixels=True)
        if header.SeriesInstanceUID in written.truth:
            yield header


def _dice(written: WrittenArchive, uid: str, path: Path) -> tuple[float, ...]:
    scan, labels = written.truth[uid], read_nifti(path)
    own = np.stack(
        [
            sample_labels(labels.voxels, labels.grid, _plane(scan.stack, k))
            for k in range(scan.stack.shape[0])
        ]
    )
    return tuple(
        dice(own == label, scan.regions == label) if (scan.regions == label).any() else float("nan")
        for label in range(1, REGIONS + 1)
    )


def _plane(stack: SliceStack, k: int) -> Floats:
    _, rows, columns = stack.shape
    index = np.moveaxis(np.indices((1, rows, columns)), 0, -1)[0].astype(np.float64)
    index[..., 0] = k
    return stack.to_world(index)
