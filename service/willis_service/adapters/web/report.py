"""The report of one analysis: a self-contained HTML page and its picture as PNG."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from willis_models.codes import Laterality
from willis_models.findings import Findings, SegmentFinding, SideScore, State
from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.advice import advice_for
from willis_service.adapters.web.display import AxialView, axial_view
from willis_service.adapters.web.palette import LOOKS
from willis_service.adapters.web.pictures import (
    WINDOW_LEVEL_HU,
    WINDOW_WIDTH_HU,
    Level,
    message_picture,
    picture,
)
from willis_service.domain.study_facts import StudyFacts

NOTHING_FOUND = "No region above threshold; does not exclude stroke."
# The order in which a radiologist meets the sides in the image: patient right first.
_SIDES: tuple[Laterality, Laterality] = ("right", "left")


@dataclass(frozen=True)
class Report:
    """The page and the picture in it."""

    html: str
    png: bytes


@dataclass(frozen=True)
class _Region:
    """One row of the table: a region on both sides."""

    name: str
    structure: str
    right: SegmentFinding | None
    left: SegmentFinding | None


_ASPECTS_LEVELS: Mapping[str, tuple[str, ...]] = {
    "Ganglionic level": ("C", "L", "I", "IC"),
    "Supraganglionic level": ("M4", "M5", "M6"),
}
_LEVELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"aspects": _ASPECTS_LEVELS}
_TITLES = {"aspects": "ASPECTS, non-contrast CT"}


def render_report(analysis: Analysis, image: InputImage | None, study: StudyFacts) -> Report:
    """The report of an analysis; of a rejected one, the reason and what to do, and no numbers.

    ``image`` is the series that was analysed; None where none could be chosen.
    """
    findings = analysis.findings
    if findings.rejection is not None or analysis.labels is None or image is None:
        png = _rejection_picture(findings)
    else:
        png = _picture(findings, axial_view(image.stack, analysis.labels))
    html = _environment().get_template("report.html").render(_context(findings, study, png))
    return Report(html, png)


def _picture(findings: Findings, view: AxialView) -> bytes:
    levels = [
        Level(title, k)
        for title, regions in _levels(findings).items()
        if (k := view.largest_slice(_numbers(findings, regions))) is not None
    ]
    if not levels:
        levels = [Level("Middle of the series", len(view.hu) // 2)]
    return picture(view, levels, findings.segments, _heading(findings), findings.intended_use)


def _heading(findings: Findings) -> str:
    """The scores in one line, for a reader who has the picture alone."""
    amended = ["AMENDED"] if findings.amends else []
    scores = (_score_text(score) for score in _scores(findings))
    return "   ".join([*amended, _title(findings), *scores])


def _score_text(score: SideScore) -> str:
    side = f"patient {score.side.upper()}"
    if score.score is None:
        return f"{side} not assessable"
    among = f" (between {score.lowest} and {score.highest})" if _has_range(score) else ""
    return f"{side} {score.score}/10{among}"


def _has_range(score: SideScore) -> bool:
    return score.lowest != score.highest


def _scores(findings: Findings) -> list[SideScore]:
    found = (findings.score(side) for side in _SIDES)
    return [score for score in found if score is not None]


def _title(findings: Findings) -> str:
    return _TITLES.get(findings.pipeline, findings.pipeline)


def _levels(findings: Findings) -> Mapping[str, tuple[str, ...]]:
    every = tuple(dict.fromkeys(_region_name(segment) for segment in findings.segments))
    return _LEVELS.get(findings.pipeline, {"Largest cross-section": every})


def _numbers(findings: Findings, regions: tuple[str, ...]) -> set[int]:
    return {s.number for s in findings.segments if _region_name(s) in regions}


def _rejection_picture(findings: Findings) -> bytes:
    reason = findings.rejection
    said = [reason.message, advice_for(reason.code)] if reason else ["No picture can be shown."]
    amended = [findings.amends.text] if findings.amends else []
    return message_picture("Not analysed", [*said, *amended, "", findings.intended_use])


def _region_name(segment: SegmentFinding) -> str:
    """``left_M2`` as ``M2``."""
    return segment.key.partition("_")[2] or segment.key


def _rows(findings: Findings) -> list[_Region]:
    by_key = {segment.key: segment for segment in findings.segments}
    first = {_region_name(s): s for s in reversed(findings.segments)}
    return [
        _Region(
            name,
            segment.structure_meaning,
            by_key.get(f"right_{name}"),
            by_key.get(f"left_{name}"),
        )
        for name, segment in reversed(first.items())
    ]


def _context(findings: Findings, study: StudyFacts, png: bytes) -> dict[str, object]:
    return {
        "findings": findings,
        "study": study,
        "title": _title(findings),
        "picture": base64.b64encode(png).decode("ascii"),
        "rows": _rows(findings),
        "scores": _scores(findings),
        "has_range": any(_has_range(score) for score in findings.scores),
        "verdict": _verdict(findings),
        "advice": advice_for(findings.rejection.code) if findings.rejection else None,
        "looks": LOOKS,
        "window": f"W {WINDOW_WIDTH_HU:.0f}, L {WINDOW_LEVEL_HU:.0f} HU",
        "total_s": sum(findings.timings_s.values()),
    }


def _verdict(findings: Findings) -> list[str]:
    """The findings, a sentence a side; that nothing was found never stands without its limit."""
    chosen = findings.side_selection.side if findings.side_selection else None
    ordered = sorted(_scores(findings), key=lambda score: score.side != chosen)
    sentences = [_side_sentence(score) for score in ordered if _is_open(score)]
    nothing = not any(score.affected for score in findings.scores)
    return [NOTHING_FOUND, *sentences] if nothing else sentences


def _is_open(score: SideScore) -> bool:
    return bool(score.affected or score.indeterminate or score.not_assessable)


def _side_sentence(score: SideScore) -> str:
    named = {
        "above threshold": score.affected,
        "indeterminate": score.indeterminate,
        "not assessable": score.not_assessable,
    }
    parts = [f"{', '.join(regions)} {state}" for state, regions in named.items() if regions]
    return f"Patient {score.side.upper()}: {'; '.join(parts)}."


def _number(digits: int) -> Callable[[float | None], str]:
    """A filter that writes a number with fixed digits and a missing one as a dash."""

    def written(value: float | None) -> str:
        return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")  # noqa: RUF001

    return written


def _state_title(state: State | None) -> str:
    return "–" if state is None else LOOKS[state].title  # noqa: RUF001


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("willis_service.adapters.web"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n0": _number(0),
        "n1": _number(1),
        "n2": _number(2),
        "state": _state_title,
    }
    return environment
