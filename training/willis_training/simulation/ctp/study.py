"""Make a CT perfusion study on the spot, as DICOM, from the phantom that ships with Willis.

    python -m willis_training.simulation.ctp.study --out FOLDER

Needs neither the shared data nor torch.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.errors import UnknownStudy
from willis_training.simulation.ctp.dicom_study import StudyParts, write_study
from willis_training.simulation.ctp.perfusion import SimulatedPerfusion, simulate_perfusion
from willis_training.simulation.ctp.phantom import FILE, load_phantom
from willis_training.simulation.ctp.protocol import native_protocol
from willis_training.simulation.dicom_series import StudyLabel, Subject

TRUTH = "truth.json"
SUBJECT = Subject("Willis^Simulated", "WILLIS-DEMO-CTP", "19500601", 75, "O")
_NOISE_HU = 3.5
_FIELD_OF_VIEW_MM = 230.0
_PACKAGE = Path(__file__).resolve().parents[2]
# Inside the package, or beside it in a working tree.
_PLACES = (_PACKAGE / "demo", _PACKAGE.parent.parent / "demo")


def find_phantom() -> Path:
    """The shipped phantom. Raises UnknownStudy where this installation has none."""
    found = next((place / FILE for place in _PLACES if (place / FILE).is_file()), None)
    if found is None:
        raise UnknownStudy(f"This installation ships no {FILE}: name its place with --phantom.")
    return found


def make_study(phantom: Path, size: int, seed: int) -> SimulatedPerfusion:
    """Scan the phantom: 16 slices of 5 mm, 45 frames 1.5 s apart, ``size`` pixels a side."""
    head, stroke = load_phantom(phantom)
    rng = np.random.default_rng(seed)
    protocol = native_protocol(rng, size)
    scanner = replace(
        protocol.scanner,
        noise_hu=_NOISE_HU,
        field_of_view_mm=_FIELD_OF_VIEW_MM,
        tilt_deg=0.0,
    )
    return simulate_perfusion(head, replace(protocol, scanner=scanner), rng, stroke)


def truth_of(study: SimulatedPerfusion) -> dict[str, Any]:
    """What a reader should find, within the slab."""
    voxel_ml = study.dynamic.still(study.truth.cbf).voxel_ml[:, None, None]
    truth = study.truth
    masks = {"core": truth.core, "penumbra": truth.penumbra, "final_infarct": truth.final_infarct}
    volumes = {f"{name}_ml": round(float((m * voxel_ml).sum()), 1) for name, m in masks.items()}
    plain = {k: v for k, v in study.settings.items() if not isinstance(v, np.ndarray)}
    return {"side": "right", **volumes, "drawn": plain}


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m willis_training.simulation.ctp.study",
        description="Make a simulated CT perfusion study as DICOM: plain CT, CT angiography and "
        "the perfusion series of a right middle cerebral artery stroke. It shows no patient.",
    )
    parser.add_argument("--out", type=Path, required=True, help="result folder")
    parser.add_argument("--size", type=int, default=256, choices=(256, 512), help="pixels a side")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another patient's bolus")
    parser.add_argument("--maps", action="store_true", help="add CBF, CBV, MTT and Tmax series")
    parser.add_argument("--only-perfusion", action="store_true", help="no plain CT, no angiography")
    parser.add_argument(
        "--no-temporal-positions", action="store_true", help="tell time points by number and time"
    )
    parser.add_argument("--phantom", type=Path, default=None, help="another phantom")
    chosen = parser.parse_args(arguments)
    study = make_study(chosen.phantom or find_phantom(), chosen.size, chosen.seed)
    label = StudyLabel(
        key=f"ctp/{chosen.size}/{chosen.seed}",
        description="SIMULATED CT perfusion, right MCA stroke",
        series_description="",
        date="20260105",
        time="081500",
    )
    parts = StudyParts(
        ncct=not chosen.only_perfusion,
        cta=not chosen.only_perfusion,
        maps=chosen.maps,
        temporal_positions=not chosen.no_temporal_positions,
    )
    files = write_study(study, SUBJECT, label, chosen.out, parts)
    truth = truth_of(study)
    (chosen.out / TRUTH).write_text(json.dumps(truth, indent=2) + "\n")
    for name, paths in files.items():
        print(f"{chosen.out / name}: {len(paths)} images")
    print(
        f"right side: core {truth['core_ml']} mL, penumbra {truth['penumbra_ml']} mL, "
        f"final infarct {truth['final_infarct_ml']} mL (what was put in)"
    )


if __name__ == "__main__":
    main()
