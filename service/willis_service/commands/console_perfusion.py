"""A perfusion study on the console: volumes, thresholds and criteria."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from willis_models.codes import CRITERION_OUTCOMES, RCBF_PERCENT, TMAX_S
from willis_models.findings import NOTHING_FOUND, Findings, Interval, SegmentFinding

_THRESHOLDS = (
    ("rCBF", tuple((f"< {n}%", f"rcbf_below_{n}_ml") for n in RCBF_PERCENT)),
    ("Tmax", tuple((f"> {n} s", f"tmax_above_{n}_ml") for n in TMAX_S)),
)
_RATIOS = (
    ("Mismatch", "mismatch_ml", "mL"),
    ("Mismatch ratio", "mismatch_ratio", ""),
    ("Hypoperfusion intensity ratio", "hypoperfusion_intensity_ratio", ""),
    ("CBV index", "cbv_index", ""),
)


def print_perfusion(console: Console, findings: Findings) -> None:
    """The numbers that a stroke team asks for."""
    console.print(_volumes(findings))
    console.print(_thresholds(findings))
    for name, key, unit in _RATIOS:
        console.print(f"{name}: {_number(findings.value(key))} {unit}".rstrip(), markup=False)
    if findings.perfusion is not None and findings.perfusion.criteria:
        console.print(_criteria(findings))


def _volumes(findings: Findings) -> Table:
    table = Table("Segment", "Side", "mL", "Interval", title="Volumes", title_justify="left")
    for segment in findings.segments:
        volume = segment.measurement("volume_ml")
        interval = volume.interval if volume is not None else None
        value = segment.value("volume_ml")
        said = NOTHING_FOUND if value == 0 else _interval(interval)
        table.add_row(segment.label, _side(segment), _number(value), said)
    return table


def _side(segment: SegmentFinding) -> str:
    if segment.laterality is not None:
        return segment.laterality
    return "both" if segment.value("volume_ml") else ""


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return ""
    ends = f"{_number(interval.low)} to {_number(interval.high)} mL"
    return f"{ends}, {100 * interval.coverage:.0f}%, {interval.basis}"


def _thresholds(findings: Findings) -> Table:
    table = Table(title="Volumes by threshold, mL", title_justify="left", show_header=False)
    for name, columns in _THRESHOLDS:
        table.add_row(name, *(label for label, _ in columns), style="bold")
        table.add_row("", *(_number(findings.value(key)) for _, key in columns))
    return table


def _criteria(findings: Findings) -> Table:
    table = Table("Trial", "Criterion volumes", "Why", title="Criteria", title_justify="left")
    for one in findings.perfusion.criteria if findings.perfusion else ():
        said = CRITERION_OUTCOMES[one.outcome].meaning.removeprefix("Criterion volumes ")
        table.add_row(one.trial, said, one.why)
    return table


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.1f}"
