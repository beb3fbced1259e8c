"""The report of one analysis: a self-contained HTML page and its picture as PNG.

The page is a frame (study, quality, model, limits) with a part for each pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from willis_models.findings import Findings, State
from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.advice import advice_for
from willis_service.adapters.web.drawing import message_picture
from willis_service.adapters.web.palette import LOOKS
from willis_service.adapters.web.part import Content, Part
from willis_service.adapters.web.perfusion import PERFUSION
from willis_service.adapters.web.regions import ASPECTS, REGIONS
from willis_service.domain.study_facts import StudyFacts

_PARTS: Mapping[str, Part] = {"aspects": ASPECTS, "infarct": PERFUSION}


@dataclass(frozen=True)
class Report:
    """The page and the picture that stands for it."""

    html: str
    png: bytes


def render_report(analysis: Analysis, image: InputImage | None, study: StudyFacts) -> Report:
    """The report of an analysis; of a rejected one, the reason and what to do, and no numbers.

    ``image`` is the series that was analysed; None where none could be chosen.
    """
    findings = analysis.findings
    part = _PARTS.get(findings.pipeline, REGIONS)
    if findings.rejection is not None or analysis.labels is None or image is None:
        content = Content(_rejection_picture(findings), {})
    else:
        content = part.fill(analysis, image)
    frame = {
        "findings": findings,
        "study": study,
        "title": part.title or findings.pipeline,
        "part": part.template,
        "advice": _advice(findings),
        "total_s": sum(findings.timings_s.values()),
    }
    html = _environment().get_template("report.html").render({**frame, **content.shown})
    return Report(html, content.png)


def _advice(findings: Findings) -> str | None:
    reason = findings.rejection
    return advice_for(reason.code, findings.pipeline) if reason else None


def _rejection_picture(findings: Findings) -> bytes:
    reason = findings.rejection
    said = (
        [reason.message, advice_for(reason.code, findings.pipeline)]
        if reason
        else ["No picture can be shown."]
    )
    amended = [findings.amends.text] if findings.amends else []
    return message_picture("Not analysed", [*said, *amended, "", findings.intended_use])


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
