"""An analysis as files: one page, one JSON document, the pictures beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from willis_training.analysis.analyse import Analysis
from willis_training.analysis.page import render_page
from willis_training.analysis.pictures import (
    draw_calibration,
    draw_case,
    draw_outliers,
    draw_trends,
    draw_variants,
)
from willis_training.analysis.results import case_path, load_case


def draw_all(analysis: Analysis, folder: Path, worst: int) -> dict[str, bytes]:
    """Every picture that the analysis has material for, by name."""
    found: dict[str, bytes] = {}
    if analysis.trends:
        found["trends"] = draw_trends(analysis.tested, analysis.trends)
    if analysis.calibration is not None:
        found["calibration"] = draw_calibration(analysis.calibration)
    if analysis.variants:
        found["variants"] = draw_variants(analysis.variants)
    if analysis.outliers is not None and analysis.outliers.scores:
        found["outliers"] = draw_outliers(analysis.outliers)
    for score in analysis.tested[:worst]:
        case = load_case(case_path(folder, score.case_id))
        found[f"case_{score.case_id}"] = draw_case(case, score, analysis.about.label_names)
    return found


def write_analysis(analysis: Analysis, pictures: Mapping[str, bytes], out: Path) -> None:
    """Write ``analysis.html`` (needs no other file), ``analysis.json`` and ``pictures/``."""
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    (out / "analysis.html").write_text(render_page(analysis, pictures), encoding="utf-8")
    text = json.dumps(analysis_document(analysis), indent=1, allow_nan=False)
    (out / "analysis.json").write_text(text + "\n", encoding="utf-8")
    for name, content in pictures.items():
        (out / "pictures" / f"{name}.png").write_bytes(content)


def analysis_document(analysis: Analysis) -> dict[str, Any]:
    """The analysis as JSON values."""
    about = analysis.about.model_dump(mode="json")
    return {**asdict(analysis), "about": about}
