"""The part of pipelines that judge regions of both sides, as ASPECTS does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from willis_models.codes import Laterality
from willis_models.findings import NOTHING_FOUND, Findings, SegmentFinding, SideScore
from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.display import AxialView, axial_view
from willis_service.adapters.web.palette import LOOKS
from willis_service.adapters.web.part import Content, Part, embedded
from willis_service.adapters.web.pictures import (
    WINDOW_LEVEL_HU,
    WINDOW_WIDTH_HU,
    Level,
    picture,
)

# The order in which a radiologist meets the sides in the image: patient right first.
_SIDES: tuple[Laterality, Laterality] = ("right", "left")
_ASPECTS_LEVELS: Mapping[str, tuple[str, ...]] = {
    "Ganglionic level": ("C", "L", "I", "IC"),
    "Supraganglionic level": ("M4", "M5", "M6"),
}
_LEVELS: Mapping[str, Mapping[str, tuple[str, ...]]] = {"aspects": _ASPECTS_LEVELS}
_ASPECTS_TITLE = "ASPECTS, non-contrast CT"


@dataclass(frozen=True)
class _Region:
    """One row of the table: a region on both sides."""

    name: str
    structure: str
    right: SegmentFinding | None
    left: SegmentFinding | None


def _fill(analysis: Analysis, image: InputImage) -> Content:
    """Scores, the annotated levels and the table of regions."""
    findings = analysis.findings
    png = _picture(findings, axial_view(image.stack, analysis.labels))
    return Content(
        png,
        {
            "picture": embedded(png),
            "rows": _rows(findings),
            "scores": _scores(findings),
            "has_range": any(_has_range(score) for score in findings.scores),
            "verdict": _verdict(findings),
            "looks": LOOKS,
            "window": f"W {WINDOW_WIDTH_HU:.0f}, L {WINDOW_LEVEL_HU:.0f} HU",
        },
    )


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


def _levels(findings: Findings) -> Mapping[str, tuple[str, ...]]:
    every = tuple(dict.fromkeys(_region_name(segment) for segment in findings.segments))
    return _LEVELS.get(findings.pipeline, {"Largest cross-section": every})


def _numbers(findings: Findings, regions: tuple[str, ...]) -> set[int]:
    return {s.number for s in findings.segments if _region_name(s) in regions}


def _title(findings: Findings) -> str:
    return _ASPECTS_TITLE if findings.pipeline == "aspects" else findings.pipeline


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


REGIONS = Part("regions.html", _fill)
ASPECTS = Part("regions.html", _fill, _ASPECTS_TITLE)
