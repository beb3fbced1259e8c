"""Make the study that ships with Willis: a simulated right MCA stroke, its DICOM files and truth.

    python -m willis_training.aspects.demo_study --cache .cache --out demo

Head and lesion are test material: nothing was trained on them.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS
from willis_training.curation.heads import load_head
from willis_training.datasets.lesions import LesionBank, load_bank
from willis_training.simulation.anatomy import Anatomy, pull_from_mni
from willis_training.simulation.dicom_series import StudyLabel, Subject, write_dicom_series
from willis_training.simulation.ncct import SimulatedScan, simulate
from willis_training.simulation.pathology import GREY_SHARE_COVERED, Stroke
from willis_training.simulation.scanner import Scanner

NAME = "ncct_right_mca"
HEAD = "head_12"
LESION = "lesion-118"
SEED = 19
"""Draws tissue contrast, ageing and noise; this one gives no mimic of ischaemia."""
DROP_HU, SWELLING = 7.0, 0.3
SCANNER = Scanner(
    thickness_mm=5.0,
    field_of_view_mm=230.0,
    matrix=512,
    tilt_deg=-12.0,
    pitch_deg=2.0,
    roll_deg=2.0,
    yaw_deg=-3.0,
    noise_hu=2.5,
    hardening_hu=3.0,
)
SUBJECT = Subject("Willis^Simulated", "WILLIS-DEMO", "19500601", 75, "O")
STUDY = StudyLabel(
    key=f"{NAME}/{SEED}",
    description="SIMULATED head CT, right MCA stroke",
    series_description="Head 5 mm without contrast",
    date="20260105",
    time="081500",
)


def right_mca_stroke(anatomy: Anatomy, bank: LesionBank) -> Stroke:
    """The demo's lesion on the patient's right, carried into a head."""
    index = bank.names.index(LESION)
    side = -1.0 if bank.side[index] == "left" else 1.0
    positions = anatomy.head.mni_lps * np.array([side, 1.0, 1.0], dtype=np.float32)
    mask = pull_from_mni(bank.mask(index), bank.affine_lps, positions)
    return Stroke(mask, DROP_HU, SWELLING)


def simulate_demo(cache: Path, scanner: Scanner = SCANNER, seed: int = SEED) -> SimulatedScan:
    """The demo's head and stroke, as another scanner may see them too."""
    path = cache / "heads" / f"{HEAD}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run python -m willis_training.curation.heads.")
    anatomy = Anatomy(load_head(path))
    stroke = right_mca_stroke(anatomy, load_bank(cache / "lesions_acute.npz"))
    return simulate(anatomy, scanner, np.random.default_rng(seed), stroke)


def truth_of(scan: SimulatedScan) -> dict[str, Any]:
    """What a reader should find. ASPECTS counts regions with at least 20% of tissue covered."""
    sides = {"left": scan.covered[:10], "right": scan.covered[10:]}
    affected = [f"{name} {side}" for side in sides for name in _affected(sides[side])]
    return {
        "affected_regions": affected,
        "side": "right",
        "aspects": {side: 10 - len(_affected(covered)) for side, covered in sides.items()},
        "affected_from_covered_share": GREY_SHARE_COVERED,
        "covered_share": {
            side: dict(zip(ASPECTS_REGIONS, covered.round(3).tolist(), strict=True))
            for side, covered in sides.items()
        },
        "drop_hu": scan.drop_hu,
        "head": HEAD,
        "lesion": LESION,
        "seed": SEED,
    }


def _affected(covered: NDArray[np.float64]) -> list[str]:
    pairs = zip(ASPECTS_REGIONS, covered, strict=True)
    return [name for name, share in pairs if share >= GREY_SHARE_COVERED]


def write_demo(cache: Path, out: Path) -> int:
    """Write the study and its truth under ``out``; returns the number of bytes."""
    scan = simulate_demo(cache)
    folder = out / NAME
    shutil.rmtree(folder, ignore_errors=True)
    files = write_dicom_series(scan.stack, SCANNER, SUBJECT, STUDY, folder)
    truth = out / f"{NAME}_truth.json"
    truth.write_text(json.dumps(truth_of(scan), indent=2) + "\n")
    return sum(path.stat().st_size for path in (*files, truth))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.aspects.demo_study",
        description="Make the demo study anew; the same cache gives the same bytes.",
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="heads and lesions")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="result folder")
    chosen = parser.parse_args(arguments)
    size = write_demo(chosen.cache, chosen.out)
    print(f"{chosen.out / NAME}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
