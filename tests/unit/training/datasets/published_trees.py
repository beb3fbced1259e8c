"""Small data sets, written in exactly the layouts that the large ones are published in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = ("RAS", "LAS", "PSR", "PSL")
MNI = "space-MNI152NLin2009aSym"
SHAPE_XYZ = (12, 14, 10)


def head(seed: int) -> NDArray[np.float32]:
    """An image in RAS order (x, y, z), different for every seed."""
    return np.random.default_rng(seed).uniform(1, 200, SHAPE_XYZ).astype(np.float32)


def left_lesion(size: int = 3) -> NDArray[np.uint8]:
    """A lesion on the patient's left: in RAS order x runs to the right, so at low x."""
    mask = np.zeros(SHAPE_XYZ, dtype=np.uint8)
    mask[1 : 1 + size, 5:8, 4:7] = 1
    return mask


def write(
    path: Path,
    voxels_ras: NDArray[Any],
    orientation: str = "RAS",
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Path:
    """Write an image given in RAS order so that it is *stored* in another orientation."""
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = -np.array(spacing_mm) * (np.array(voxels_ras.shape[:3]) - 1) / 2
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(("R", "A", "S")),
        nib.orientations.axcodes2ornt(tuple(orientation)),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels_ras, affine).as_reoriented(turn), path)
    return path


def atlas_session(
    folder: Path, subject: str, session: int, seed: int, masked: bool = True, size: int = 3
) -> Path:
    """One session of ATLAS v2.0 below a site's folder."""
    stem = f"sub-{subject}_ses-{session}"
    anat = folder / f"sub-{subject}" / f"ses-{session}" / "anat"
    write(anat / f"{stem}_{MNI}_T1w.nii.gz", head(seed))
    if masked:
        write(anat / f"{stem}_{MNI}_label-L_desc-T1lesion_mask.nii.gz", left_lesion(size))
    return anat


def atlas_v2(root: Path, sites: int = 3, subjects: int = 3) -> Path:
    """ATLAS_2 as unpacked: Training with masks, Testing without, a second session, and tables."""
    atlas = root / "ATLAS_2"
    for site in range(1, sites + 1):
        folder = atlas / "Training" / f"R{site:03d}"
        for n in range(1, subjects + 1):
            atlas_session(folder, f"r{site:03d}s{n:03d}", 1, 100 * site + n, size=1 + n)
        (folder / "dataset_description.json").write_text('{"Name": "atlas2"}')
    atlas_session(atlas / "Training" / "R001", "r001s001", 2, 999)
    atlas_session(atlas / "Testing" / "R052", "r052s001", 1, 5201, masked=False)
    (atlas / "20211112_ATLAS_2.0_SupplementaryInfo.csv").write_text("Subject ID\n")
    write(atlas / "MNI152NLin2009aSym.nii.gz", head(0))
    return atlas


def atlas_native(root: Path) -> Path:
    """Training_Raw of the later releases: native space, one site for each stored orientation."""
    raw = root / "Training_Raw"
    for n, orientation in enumerate(ORIENTATIONS, start=1):
        stem = f"sub-r{n:03d}s001_ses-1"
        anat = raw / f"R{n:03d}" / f"sub-r{n:03d}s001" / "ses-1" / "anat"
        image = f"{stem}_space-orig_desc-brain_T1w.nii.gz"
        write(anat / image, head(n), orientation, (1.0, 1.2, 2.0))
        mask = f"{stem}_space-orig_label-lesion_desc-T1lesion_mask.nii.gz"
        write(anat / mask, left_lesion(), orientation, (1.0, 1.2, 2.0))
        days = 200 + n if n < 4 else 0
        (anat / f"{stem}_metadata.csv").write_text(
            f"SITE,DAYS_POST_STROKE,CHRONICITY\nR{n:03d},{days},\n"
        )
    return raw


def bids(root: Path, sessions: bool = True) -> Path:
    """A BIDS data set with lesion masks in a derivative, two sites and two images a session."""
    people = ["participant_id\tsite\tage\tpatient_name"]
    for n, site in ((1, "north"), (2, "south")):
        people.append(f"sub-{n:02d}\t{site}\t{60 + n}\tNobody{n}")
        session = "ses-1" if sessions else ""
        stem = f"sub-{n:02d}" + ("_ses-1" if sessions else "")
        anat = Path(f"sub-{n:02d}") / session / "anat"
        write(root / anat / f"{stem}_T1w.nii.gz", head(n))
        write(root / anat / f"{stem}_FLAIR.nii.gz", head(n + 10))
        (root / anat / f"{stem}_T1w.json").write_text(
            json.dumps({"SliceThickness": 1.5, "PatientName": "Nobody"})
        )
        write(root / "derivatives" / "lesions" / anat / f"{stem}_dseg.nii.gz", left_lesion())
    (root / "participants.tsv").write_text("\n".join(people) + "\n")
    (root / "derivatives" / "lesions" / "dseg.tsv").write_text("index\tname\n1\tinfarct\n")
    return root


def curated(root: Path) -> Path:
    """What ``willis-train curate`` writes: raw images, and three variants with their labels."""
    stem, folder = "sub-abc_ses-x1_acq-{}", Path("sub-abc") / "ses-x1" / "ct"
    for series in ("s1", "s2"):
        name = stem.format(series)
        write(root / folder / f"{name}_ct.nii.gz", head(1 if series == "s1" else 2))
        (root / folder / f"{name}_ct.json").write_text(
            json.dumps({"SliceThickness": 5.0, "GantryDetectorTilt": 18.0})
        )
        for variant in ("raw", "stripped", "registered"):
            below = root / "derivatives" / variant / folder
            write(below / f"{name}_ct.nii.gz", head(1 if series == "s1" else 2) / 2)
            write(below / f"{name}_dseg.nii.gz", left_lesion() * 3)
    for variant in ("raw", "stripped", "registered"):
        (root / "derivatives" / variant / "dseg.tsv").write_text(
            "index\tname\n0\tbackground\n1\tC left\n2\tL left\n3\tI left\n"
        )
    (root / "participants.tsv").write_text("participant_id\tage_band\tsex\nsub-abc\t70-74\tM\n")
    return root
