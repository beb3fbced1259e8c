"""The part of perfusion: volumes, mismatch, prediction, maps, vessels, motion and criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from willis_models.codes import CRITERION_OUTCOMES, RCBF_PERCENT, TMAX_S
from willis_models.findings import (
    NOTHING_FOUND,
    Findings,
    Interval,
    MotionTrace,
    PerfusionFindings,
    SegmentFinding,
    VesselCurve,
)
from willis_models.pipelines.base import Analysis, InputImage
from willis_service.adapters.web.colours import SCALES
from willis_service.adapters.web.part import Content, Part, embedded
from willis_service.adapters.web.perfusion_pictures import (
    CORE,
    PENUMBRA,
    PREDICTED,
    PerfusionView,
    figures,
    perfusion_view,
)
from willis_service.adapters.web.plots import Line, line_plot

TITLE = "CT perfusion: core, penumbra and predicted infarct"
_LEAST_MOTION = 4.0
_VESSELS = {"aif": "Artery (AIF)", "vof": "Vein (VOF)"}
_BOLUS = (
    ("peak_hu", "peak", "HU", 0),
    ("arrival_s", "arrival", "s", 1),
    ("time_to_peak_s", "time to peak", "s", 1),
    ("fwhm_s", "width", "s", 1),
)


@dataclass(frozen=True)
class _Tile:
    """A number in large type."""

    name: str
    value: float | None
    unit: str
    note: str


@dataclass(frozen=True)
class _Vessel:
    """One row of the table of vessels."""

    name: str
    css: str
    position: str
    choice: str
    bolus: str


def _fill(analysis: Analysis, image: InputImage) -> Content:
    """Everything that the page shows of a perfusion study."""
    findings, view = analysis.findings, perfusion_view(analysis, image)
    perfusion = findings.perfusion
    made = figures(
        view, _vessel_places(perfusion, image, view), _heading(findings), findings.intended_use
    )
    predicted = findings.segment(PREDICTED)
    return Content(
        made.together,
        {
            "tiles": _tiles(findings),
            "predicted": predicted,
            "interval": _interval(predicted),
            "verdict": _verdict(findings),
            "figures": {name: embedded(png) for name, png in made.parts.items()},
            "scales": [scale for scale in SCALES if scale.key in view.maps],
            "thresholds": _thresholds(findings),
            "ratios": _ratios(findings),
            "criteria": _criteria(perfusion),
            "vessels": _vessel_rows(perfusion),
            "vessel_plot": _vessel_plot(perfusion),
            "motion_plot": _motion_plot(perfusion.motion if perfusion else None),
            "perfusion": perfusion,
        },
    )


PERFUSION = Part("perfusion.html", _fill, TITLE)


def _tiles(findings: Findings) -> list[_Tile]:
    core_ml = findings.segment(CORE).value("volume_ml")
    is_without_core = findings.value("mismatch_ratio") is None and core_ml == 0
    return [
        _Tile("Core", core_ml, "mL", "rCBF < 30%"),
        _Tile("Mismatch", findings.value("mismatch_ml"), "mL", "Tmax > 6 s without core"),
        _Tile(
            "Mismatch ratio",
            findings.value("mismatch_ratio"),
            "",
            "no core: not defined" if is_without_core else "Tmax > 6 s to core",
        ),
    ]


def _interval(segment: SegmentFinding) -> Interval | None:
    volume = segment.measurement("volume_ml")
    return None if volume is None else volume.interval


def _verdict(findings: Findings) -> list[str]:
    """What was found and where; that nothing was found never stands without its limit."""
    sentences = [_sentence(segment) for segment in findings.segments]
    if not any(segment.value("volume_ml") for segment in findings.segments):
        return [NOTHING_FOUND]
    return sentences


def _sentence(segment: SegmentFinding) -> str:
    volume_ml = segment.value("volume_ml")
    if volume_ml is None:
        return f"{segment.label}: could not be measured."
    if not volume_ml:
        return f"{segment.label}: {NOTHING_FOUND[0].lower()}{NOTHING_FOUND[1:]}"
    where = f"patient {segment.laterality.upper()}" if segment.laterality else "both sides"
    return f"{segment.label}: {volume_ml:.1f} mL, {where}."


def _heading(findings: Findings) -> str:
    """The numbers in one line, for a reader who has the picture alone."""
    amended = ["AMENDED"] if findings.amends else []
    names = {CORE: "core", PREDICTED: "predicted infarct"}
    volumes = {key: findings.segment(key).value("volume_ml") for key in names}
    side = findings.side_selection.side if findings.side_selection else None
    parts = [
        "CT perfusion",
        *([f"patient {side.upper()}"] if side else []),
        f"core {_ml(volumes[CORE])}",
        f"mismatch {_ml(findings.value('mismatch_ml'))}",
        f"ratio {_number(findings.value('mismatch_ratio'))}",
        f"predicted infarct {_ml(volumes[PREDICTED])}",
    ]
    nothing = (
        []
        if any(volumes.values()) or findings.segment(PENUMBRA).value("volume_ml")
        else [NOTHING_FOUND]
    )
    return "   ".join([*amended, *parts, *nothing])


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1f}"


def _ml(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f} mL"


def _thresholds(findings: Findings) -> list[tuple[str, list[tuple[str, float | None]]]]:
    """Two rows of volumes: by blood flow and by delay."""
    flow = [(f"< {n}%", findings.value(f"rcbf_below_{n}_ml")) for n in RCBF_PERCENT]
    delay = [(f"> {n} s", findings.value(f"tmax_above_{n}_ml")) for n in TMAX_S]
    return [("rCBF", flow), ("Tmax", delay)]


def _ratios(findings: Findings) -> list[tuple[str, float | None, str]]:
    return [
        (
            "Hypoperfusion intensity ratio",
            findings.value("hypoperfusion_intensity_ratio"),
            "Tmax > 10 s to Tmax > 6 s",
        ),
        ("CBV index", findings.value("cbv_index"), "mean CBV, Tmax > 6 s to Tmax <= 4 s"),
    ]


def _criteria(perfusion: PerfusionFindings | None) -> list[dict[str, str]]:
    """Worded as volumes, never as eligibility."""
    found = perfusion.criteria if perfusion else ()
    return [
        {
            "trial": one.trial,
            "rule": one.rule,
            "outcome": CRITERION_OUTCOMES[one.outcome].meaning.lower(),
            "css": one.outcome,
            "why": one.why,
        }
        for one in found
    ]


def _curves(perfusion: PerfusionFindings | None) -> list[VesselCurve]:
    both = (perfusion.aif, perfusion.vof) if perfusion else ()
    return [curve for curve in both if curve is not None]


def _vessel_places(
    perfusion: PerfusionFindings | None, image: InputImage, view: PerfusionView
) -> list[tuple[str, Sequence[float]]]:
    """The name of each vessel and where it is shown: slice, row, column."""
    stack = image.stack
    return [
        (
            _VESSELS[curve.name],
            view.turn.index(stack.to_index(np.array(curve.position_lps)).tolist(), stack.shape),
        )
        for curve in _curves(perfusion)
    ]


def _vessel_rows(perfusion: PerfusionFindings | None) -> list[_Vessel]:
    return [_vessel_row(curve) for curve in _curves(perfusion)]


def _vessel_row(curve: VesselCurve) -> _Vessel:
    x, y, z = curve.position_lps
    values = {one.key: one.value for one in curve.measurements}
    bolus = [
        f"{name} {value:.{digits}f} {unit}"
        for key, name, unit, digits in _BOLUS
        if (value := values.get(key)) is not None
    ]
    return _Vessel(
        name=_VESSELS[curve.name],
        css=curve.name,
        position=f"x {x:.0f}, y {y:.0f}, z {z:.0f} mm (LPS)",
        choice="by hand" if curve.is_manual else "automatic",
        bolus=", ".join(bolus),
    )


def _vessel_plot(perfusion: PerfusionFindings | None) -> Markup | None:
    lines = [
        Line(_VESSELS[curve.name], curve.name, curve.times_s, curve.enhancement_hu)
        for curve in _curves(perfusion)
    ]
    return line_plot(lines, "time, s", "enhancement, HU") if lines else None


def _motion_plot(trace: MotionTrace | None) -> Markup | None:
    if trace is None:
        return None
    lines = [
        Line("displacement, mm", "aif", trace.times_s, trace.translation_mm, trace.corrected),
        Line("rotation, degrees", "vof", trace.times_s, trace.rotation_deg),
    ]
    return line_plot(lines, "time, s", "before correction", _LEAST_MOTION)
