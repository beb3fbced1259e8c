"""The published network on real scans, good or bad: ``docs/real-scans.md`` and its pictures.

``python -m willis_training.aspects.real_scans --data ../shared --out docs``
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.aspects.prepare import ROLE
from willis_models.pipelines.base import analyse
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_models.runtime.session import open_predictor
from willis_training.aspects.expert_masks import judge_slices
from willis_training.aspects.real_pictures import draw_patient, draw_slices
from willis_training.aspects.real_scans_page import RealPatient, real_scans_page
from willis_training.curation.dicom_ct import read_axial_ct

PATIENT = Path("samples/ncct_ge_tilt")
SLICES = Path("samples/ncct_penumbra_slices")
PATIENT_PICTURE, SLICES_PICTURE = "real_patient.png", "real_slices.png"


def report_real_scans(data: Path, bundle: Bundle, out: Path) -> None:
    """Analyse the real samples under ``data`` with ``bundle``; write page and pictures to ``out``.

    Raises FileNotFoundError where a sample is missing.
    """
    for sample in (PATIENT, SLICES / "images", SLICES / "masks"):
        if not (data / sample).is_dir():
            raise FileNotFoundError(f"{data / sample} is missing; see docs/real-scans.md.")
    predictor = open_predictor(bundle)
    image = read_axial_ct(data / PATIENT)
    analysis = analyse(ASPECTS, {ROLE: image}, bundle.manifest, bundle.assets, predictor)
    images = out / "images"
    if analysis.labels is not None:
        draw_patient(image.stack, analysis.labels, analysis.findings, images / PATIENT_PICTURE)
    slices = list(judge_slices(data / SLICES, bundle, predictor))
    draw_slices(slices, images / SLICES_PICTURE)
    patient = RealPatient(image.stack, analysis.findings)
    page = real_scans_page(bundle.manifest, patient, slices, PATIENT_PICTURE, SLICES_PICTURE)
    (out / "real-scans.md").write_text(page, encoding="utf-8")


def main(
    data: Annotated[Path, typer.Option(help="Folder with samples/.")] = Path("../shared"),
    out: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("docs"),
) -> None:
    """Report what the newest ASPECTS bundle says of the real sample scans."""
    try:
        report_real_scans(data, latest_bundle("aspects"), out)
    except FileNotFoundError as error:
        raise typer.BadParameter(str(error)) from error


if __name__ == "__main__":
    typer.run(main)
