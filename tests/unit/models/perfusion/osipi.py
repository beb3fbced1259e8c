"""The OSIPI digital reference curves, and what each method is known to read from them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_models.volume import Array

# CBF by an independent implementation: sSVD .2, cSVD .1, oSVD .035, oSVD .095, Tikhonov .1
REFERENCE = {
    (4.0, 10.0): (9.8, 9.0, 9.3, 9.3, 9.0),
    (4.0, 30.0): (27.1, 25.7, 26.4, 28.1, 25.0),
    (4.0, 50.0): (43.7, 39.8, 42.0, 43.6, 38.0),
    (4.0, 70.0): (58.0, 48.9, 53.7, 55.7, 47.3),
    (2.0, 5.0): (5.6, 6.5, 6.0, 6.7, 6.3),
    (2.0, 15.0): (13.8, 13.7, 13.3, 15.8, 14.3),
    (2.0, 25.0): (22.2, 19.5, 19.6, 23.1, 18.8),
    (2.0, 35.0): (28.6, 24.4, 24.4, 29.1, 24.4),
}


@dataclass(frozen=True)
class Case:
    """Concentration curves (n,), ``step_s`` apart; true CBV mL/100 mL, CBF mL/100 mL/min."""

    cbv: float
    cbf: float
    tissue: Array
    artery: Array
    step_s: float


def read_cases(path: Path) -> list[Case]:
    """All fourteen, by rising CBV and CBF."""
    with path.open() as lines:
        cases = [
            Case(
                float(row["cbv"]),
                float(row["cbf"]),
                np.array(row["C_tis"].split(), dtype=float),
                np.array(row["C_aif"].split(), dtype=float),
                float(row["tr"]),
            )
            for row in csv.DictReader(lines)
        ]
    return sorted(cases, key=lambda case: (case.cbv, case.cbf))
