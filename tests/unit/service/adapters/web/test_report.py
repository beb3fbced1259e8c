"""The page a radiologist reads: what it says, and what it must never say."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.aspects_findings import aspects_findings, region_labels, rejected_findings
from tests.unit.service.adapters.web.report_page import FACTS, PageText, head_image
from willis_models.errors import InputError
from willis_models.findings import INTENDED_USE_STATEMENT, NOTHING_FOUND, Amendment, Findings
from willis_models.pipelines.base import Analysis, InputImage
from willis_models.volume import SliceStack
from willis_service.adapters.web.advice import ADVICE
from willis_service.adapters.web.palette import LOOKS
from willis_service.adapters.web.report import Report, render_report


def _report(findings: Findings, row_sign: int = 1) -> Report:
    image = head_image(row_sign)
    return render_report(Analysis(findings, region_labels(image.stack), "ncct"), image, FACTS)


@pytest.fixture(scope="module")
def report() -> Report:
    return _report(aspects_findings())


@pytest.fixture(scope="module")
def page(report: Report) -> PageText:
    return PageText(report.html)


def test_the_score_and_its_range_stand_first(page: PageText) -> None:
    assert page.text.index("PATIENT RIGHT 10 / 10") < page.text.index("PATIENT LEFT 8 / 10")
    assert "between 7 and 8" in page.text
    assert page.text.index("8 / 10") < page.text.index("Quality of the input")


def test_it_says_what_was_found_and_how_the_side_was_chosen(page: PageText) -> None:
    assert "Patient LEFT: I, M2 above threshold; M5 indeterminate." in page.text
    assert "Patient RIGHT: C not assessable." in page.text
    assert "The side with more affected regions." in page.text


def test_the_table_has_ten_rows_with_both_sides(page: PageText) -> None:
    rows = re.findall(r"<tr><td class=\"name\"><b>(\w+)</b>", _report(aspects_findings()).html)

    assert rows == ["C", "L", "I", "IC", "M1", "M2", "M3", "M4", "M5", "M6"]
    assert "M2 ASPECTS region M2, MCA cortex lateral to insula" in page.text
    assert "27.2 4.2 0.87 0.88 affected" in page.text


def test_the_statement_model_timings_quality_and_limits_are_there(page: PageText) -> None:
    assert page.text.count(INTENDED_USE_STATEMENT) == 2
    assert "aspects-regions 1.0.0" in page.text and "ab" * 32 in page.text
    assert "prepare 2.5 s" in page.text and "in all 4.2 s" in page.text
    assert "A gantry tilt of 18.5° was corrected." in page.text
    assert "Performance on patients: not measured." in page.text
    assert "patient LEFT" in page.text and "Radiological convention" in page.text


def test_the_page_loads_nothing_from_outside(page: PageText) -> None:
    links = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "action", "data", "srcset")
    ]

    assert [str(link)[:22] for link in links] == ["data:image/png;base64,"]
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert not re.search(r"url\(|@import", _report(aspects_findings()).html)


def test_text_from_the_study_is_escaped(report: Report, page: PageText) -> None:
    assert "Doe, Jane <b>" in page.text
    assert "Doe, Jane <b>" not in report.html


def test_nothing_found_does_not_exclude_stroke() -> None:
    none = aspects_findings(affected=(), indeterminate=(), not_assessable=())
    some = PageText(_report(aspects_findings(affected=())).html)

    assert NOTHING_FOUND == "No region above threshold; does not exclude stroke."
    assert NOTHING_FOUND in PageText(_report(none).html).text
    assert NOTHING_FOUND in some.text and "M5 indeterminate" in some.text
    assert NOTHING_FOUND not in PageText(_report(aspects_findings()).html).text


def test_a_missing_score_is_a_dash_and_never_a_number() -> None:
    blank = {"score": None, "lowest": None, "highest": None}
    findings = aspects_findings()
    scores = tuple(score.model_copy(update=blank) for score in findings.scores)
    page = PageText(_report(findings.model_copy(update={"scores": scores})).html)

    assert "/ 10" not in page.text
    assert "PATIENT LEFT – not assessable" in page.text  # noqa: RUF001


@pytest.mark.parametrize("row_sign", [1, -1])
def test_an_affected_left_region_is_drawn_on_the_images_right(row_sign: int) -> None:
    report = _report(aspects_findings(("left_M2",), (), ()), row_sign)
    places = _places_of(report.png, LOOKS["affected"].colour)
    width = Image.open(io.BytesIO(report.png)).width

    annotated = [x for x in places if x > width / 2]
    assert len(annotated) > 200
    assert min(annotated) > 0.75 * width


def _places_of(png: bytes, colour: tuple[int, int, int]) -> list[int]:
    """Columns of the picture points of exactly this colour, the legend at the foot left out."""
    pixels = np.asarray(Image.open(io.BytesIO(png)))[:-90]
    return np.nonzero((pixels == colour).all(axis=-1))[1].tolist()


def test_every_panel_is_marked_and_only_the_right_half_is_annotated(report: Report) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(report.png)).convert("RGB"))
    is_coloured = (pixels.max(axis=-1).astype(int) - pixels.min(axis=-1)) > 60
    half = pixels.shape[1] // 2

    assert not is_coloured[:-90, :half].any()
    assert is_coloured[:-90, half:].any()


def test_the_picture_is_the_one_in_the_page(report: Report) -> None:
    import base64

    assert base64.b64encode(report.png).decode() in report.html


def _all_leaves(error: type[InputError]) -> Iterator[type[InputError]]:
    public = [kind for kind in error.__subclasses__() if not kind.__name__.startswith("_")]
    yield from (leaf for kind in public for leaf in _all_leaves(kind))
    if not public:
        yield error


def test_there_is_advice_for_every_reason_to_refuse() -> None:
    assert {leaf.code for leaf in _all_leaves(InputError)} <= ADVICE.keys()


@pytest.mark.parametrize("code", ["CONTRAST_GIVEN", "SOME_NEW_CHECK"])
def test_a_rejected_study_shows_the_reason_and_what_to_do_and_no_numbers(code: str) -> None:
    findings = rejected_findings(code, "Contrast agent was given.")
    report = render_report(Analysis(findings), None, FACTS)
    page = PageText(report.html)

    assert "Not analysed Contrast agent was given. What to do:" in page.text
    assert code in page.text and INTENDED_USE_STATEMENT in page.text
    assert "/ 10" not in page.text and "HU" not in page.text
    assert NOTHING_FOUND not in page.text
    assert Image.open(io.BytesIO(report.png)).width > 600


def test_an_amended_result_says_so_before_its_score() -> None:
    amends = Amendment(job_id="job-1", status="succeeded", scores=aspects_findings().scores)
    findings = aspects_findings().model_copy(update={"amends": amends})
    report = _report(findings)
    page = PageText(report.html)

    said = page.text.index("it replaces an earlier one, which gave the score left 8, right 10.")
    assert said < page.text.index("PATIENT RIGHT")
    assert report.png != _report(aspects_findings()).png


def test_the_longest_heading_ends_within_the_picture() -> None:
    amends = Amendment(job_id="job-1", status="failed")
    wide = [
        score.model_copy(update={"score": None}) if score.side == "left" else score
        for score in aspects_findings().scores
    ]
    findings = aspects_findings().model_copy(update={"amends": amends, "scores": tuple(wide)})

    page = np.asarray(Image.open(io.BytesIO(_report(findings).png)).convert("L"))

    heading = page[:50]
    assert heading.max() > 150
    assert heading[:, -12:].max() < 50


def test_an_amended_result_that_was_not_analysed_says_so_too() -> None:
    amends = Amendment(job_id="job-1", status="failed")
    rejected = rejected_findings("CONTRAST_GIVEN").model_copy(update={"amends": amends})
    report = render_report(Analysis(rejected), None, FACTS)

    assert "said that the study could not be analysed" in PageText(report.html).text
    assert (
        report.png != render_report(Analysis(rejected_findings("CONTRAST_GIVEN")), None, FACTS).png
    )


def test_equal_input_gives_the_same_report(report: Report) -> None:
    assert _report(aspects_findings()) == report


def test_findings_without_any_voxel_still_give_a_page() -> None:
    image = head_image()
    labels = np.zeros(image.stack.shape, np.uint8)
    report = render_report(Analysis(aspects_findings((), (), ()), labels, "ncct"), image, FACTS)

    assert NOTHING_FOUND in PageText(report.html).text


def test_a_region_too_small_to_draw_does_not_cost_the_page() -> None:
    hu = np.full((6, 16, 16), 30, dtype=np.int16)
    origins = np.array([[-120.0, -120.0, 5.0 * k] for k in range(6)])
    stack = SliceStack(hu, origins, np.array([15.0, 0.0, 0.0]), np.array([0.0, 15.0, 0.0]))
    labels = np.zeros(stack.shape, dtype=np.uint8)
    for number in range(1, 21):
        labels[number % 6, 4 + number // 4, number % 8 + 4] = number
    analysis = Analysis(aspects_findings(), labels, "ncct")
    assert render_report(analysis, InputImage(stack), FACTS).png.startswith(b"\x89PNG")
