"""The page of a perfusion study: what a stroke team reads first, and what it must never say."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.infarct_findings import (
    infarct_analysis,
    infarct_analysis_without_lesion,
    infarct_findings,
    lesion_layers,
    perfusion_maps,
)
from tests.unit.service.adapters.web.report_page import FACTS, PageText, head_image
from willis_models.codes import Laterality
from willis_models.findings import INTENDED_USE_STATEMENT, NOTHING_FOUND, Findings
from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.colours import SCALES
from willis_service.adapters.web.palette import LESIONS
from willis_service.adapters.web.report import Report, render_report

ORANGE = np.array(LESIONS["core"].colour)


def _report(
    side: Laterality = "left", row_sign: int = 1, findings: Findings | None = None
) -> Report:
    image = head_image(row_sign)
    return render_report(infarct_analysis(image.stack, side, findings), image, FACTS)


@pytest.fixture(scope="module")
def report() -> Report:
    return _report()


@pytest.fixture(scope="module")
def page(report: Report) -> PageText:
    return PageText(report.html)


def _pictures(html: str) -> dict[str, np.ndarray]:
    """The embedded pictures by their alternative text."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)" alt="([^"]+)"', html)
    return {
        alt.split(",")[0]: np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
        for data, alt in found
    }


def _is_like(picture: np.ndarray, colour: np.ndarray, within: int = 40) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=-1) < within


def test_core_mismatch_and_ratio_stand_first_in_large_type(page: PageText) -> None:
    assert "CORE 7.2 mL rCBF < 30% MISMATCH 51.0 mL" in page.text
    assert "MISMATCH RATIO 8.1 Tmax > 6 s to core" in page.text


def test_the_prediction_stands_apart_and_says_what_its_interval_rests_on(page: PageText) -> None:
    assert "PREDICTED FINAL INFARCT, not measured 24.4 mL" in page.text
    assert "90% interval 9.5 to 41.2 mL, calibrated on simulated data" in page.text
    assert "it is no measurement, and it is drawn apart from the measured core" in page.text


def test_it_says_where_each_finding_lies(page: PageText) -> None:
    assert "Infarct core (rCBF < 30%): 7.2 mL, patient LEFT." in page.text
    assert "Predicted infarct: 24.4 mL, patient LEFT." in page.text


def test_every_threshold_and_ratio_has_its_number(page: PageText) -> None:
    for text in ("< 20%", "< 38%", "> 4 s", "> 10 s", "101.9", "58.2", "29.1"):
        assert text in page.text
    assert "Hypoperfusion intensity ratio Tmax > 10 s to Tmax > 6 s 0.12" in page.text
    assert "CBV index" in page.text


def test_criteria_are_volumes_and_nobody_is_eligible(page: PageText) -> None:
    assert "DEFUSE 3 criterion volumes met" in page.text
    assert "EXTEND criterion volumes not met" in page.text
    assert "DAWN criterion volumes not assessable" in page.text
    assert "eligib" not in page.text.lower()


def test_vessels_show_their_curve_place_and_choice(page: PageText, report: Report) -> None:
    assert "Artery (AIF) automatic; x -24, y -12, z -6 mm (LPS)" in page.text
    assert "Vein (VOF) by hand" in page.text
    assert "peak 280 HU, arrival 9.0 s, width 7.5 s" in page.text
    assert report.html.count("<polyline") == 4
    assert "Where artery and vein were measured" in _pictures(report.html)


def test_motion_marks_the_time_points_that_were_corrected(report: Report) -> None:
    assert report.html.count("<circle") == 1


def test_statement_quality_model_and_limits_are_there(page: PageText) -> None:
    assert page.text.count(INTENDED_USE_STATEMENT) == 2
    assert "The scan covers 60 mm of the head only. 60 mm" in page.text
    assert "infarct 0.1.0 on CPUExecutionProvider" in page.text
    assert "Performance on patients: not measured." in page.text


def test_the_page_runs_and_loads_nothing(page: PageText) -> None:
    names = {tag for tag, _ in page.tags}
    sources = [attrs.get("src") or "" for _, attrs in page.tags if "src" in attrs]

    assert not names & {"script", "link", "iframe", "object"}
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


@pytest.mark.parametrize("row_sign", [1, -1])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_left_core_is_drawn_on_the_images_right(side: Laterality, row_sign: int) -> None:
    """Radiological convention, however the voxels are stored."""
    mismatch = _pictures(_report(side, row_sign).html)["Core and penumbra over the scan"]
    columns = np.nonzero(_is_like(mismatch[40:-40], ORANGE).any(axis=0))[0]  # no legend
    width = _panel_width(mismatch)
    within = (columns - 14) % (width + 4)

    assert len(columns)
    assert (np.median(within) > width / 2) == (side == "left")


def _panel_width(mismatch: np.ndarray) -> int:
    """Six panels with gaps of four, a margin of fourteen on both sides and room for a bar."""
    return (mismatch.shape[1] - 2 * 14 - 96) // 6 - 4


def test_the_prediction_is_in_a_picture_without_the_core(report: Report) -> None:
    pictures = _pictures(report.html)
    predicted = pictures["Predicted infarct over the scan"]

    assert _is_like(pictures["Core and penumbra over the scan"], ORANGE).sum() > 50
    assert _is_like(predicted, ORANGE).sum() == 0
    assert _is_like(predicted, np.array(LESIONS["predicted_infarct"].colour)).sum() > 50


def test_maps_have_fixed_scales(page: PageText) -> None:
    assert (
        "Fixed scales: CBF 0 to 60 mL/100 g/min, CBV 0 to 6 mL/100 g, MTT 0 to 15 s, "
        "Tmax 0 to 12 s." in page.text
    )


def test_lightness_of_every_colour_map_rises_evenly() -> None:
    for scale in SCALES:
        colours = scale.coloured(np.linspace(0, scale.high, 64))
        lightness = colours @ np.array([0.2126, 0.7152, 0.0722])
        assert (np.diff(lightness) > 0).all()


def test_a_zero_never_stands_without_its_limit() -> None:
    image = head_image()
    report = render_report(infarct_analysis_without_lesion(image.stack), image, FACTS)
    page = PageText(report.html)

    assert NOTHING_FOUND in page.text
    assert "CORE 0.0 mL" in page.text
    assert "MISMATCH RATIO – no core: not defined" in page.text  # noqa: RUF001


def test_a_core_of_nothing_beside_a_penumbra_says_so_too() -> None:
    page = PageText(_report(findings=infarct_findings(core_ml=0.0)).html)

    core = "Infarct core (rCBF < 30%): no region above threshold; does not exclude stroke."
    assert core in page.text
    assert "Penumbra (Tmax > 6 s): 51.0 mL, patient LEFT." in page.text


def test_of_ready_maps_the_one_that_was_analysed_is_shown_without_curves() -> None:
    image = head_image()
    labels, predicted = lesion_layers(image.stack)
    tmax = perfusion_maps(image.stack, labels)[3].values
    reference = InputImage(image.stack.with_voxels(tmax), unit="s")
    analysis = Analysis(infarct_findings(source="maps"), labels, "tmax", (predicted,))

    report = render_report(analysis, reference, FACTS)

    assert "<polyline" not in report.html
    pictures = _pictures(report.html)
    mismatch, maps = (
        pictures[name]
        for name in ("Core and penumbra over the scan", "Perfusion maps with colour bars")
    )
    assert len(pictures) == 3
    assert maps.shape[0] < mismatch.shape[0]  # one row
    assert _is_like(mismatch, ORANGE).any()
    assert "Fixed scales: Tmax 0 to 12 s." in PageText(report.html).text


def test_a_rejected_perfusion_study_says_what_to_send() -> None:
    findings = infarct_findings()
    reason = {"code": "NO_SUITABLE_SERIES", "message": "No series fits."}
    rejected = Findings.model_validate(
        {"pipeline": "infarct", "status": "rejected", "rejection": reason, "model": findings.model}
    )
    page = PageText(render_report(Analysis(rejected), None, FACTS).html)

    assert "Not analysed No series fits." in page.text
    assert "CT perfusion series" in page.text
    assert "non-contrast" not in page.text


def test_equal_input_gives_the_same_report(report: Report) -> None:
    assert _report() == report


def test_a_thin_scan_of_many_slices_shows_those_with_the_lesion() -> None:
    image = head_image()
    analysis = infarct_analysis(image.stack)
    assert analysis.labels is not None
    only = np.where(np.arange(16)[:, None, None] == 9, analysis.labels, 0).astype(np.uint8)
    report = render_report(
        replace(analysis, labels=only, overlays=(np.zeros_like(only),)), image, FACTS
    )

    mismatch = _pictures(report.html)["Core and penumbra over the scan"]
    assert _is_like(mismatch, ORANGE).any()
