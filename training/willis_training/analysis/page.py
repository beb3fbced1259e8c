"""One self-contained page: tables and pictures of an analysis, nothing fetched from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from willis_training.analysis.analyse import ODD, TEST, VALIDATION, Analysis, Outliers
from willis_training.analysis.calibration import Calibration
from willis_training.analysis.scoring import TOLERANCE_MM, CaseScore, Trend
from willis_training.analysis.variants import VariantScore

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } img { max-width: 100% }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .7rem; text-align: left }
.use { border-left: 4px solid #d55e00; padding: .4rem 1rem; background: #fff4ec }
"""
Pictures = Mapping[str, bytes]
"""PNG bytes by name: trends, calibration, variants, outliers, and case_<id> for the worst."""


def render_page(analysis: Analysis, pictures: Pictures) -> str:
    """The page as HTML."""
    sections = [
        _summary(analysis),
        _worst(analysis, pictures),
        _trends(analysis.trends, pictures),
        _calibration(analysis.calibration, pictures),
        _variants(analysis.variants, pictures),
        _outliers(analysis.outliers, pictures),
    ]
    title = escape(f"Error analysis of {analysis.about.model}")
    notes = "".join(f"<p>{escape(note)}</p>" for note in analysis.about.notes)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="use">{escape(analysis.intended_use)} Performance on patients: '
        f"{escape(analysis.performance_on_patients)}.</p>{notes}{''.join(sections)}</body></html>\n"
    )


def _summary(analysis: Analysis) -> str:
    tested = analysis.tested
    dice = sorted(score.dice for score in tested)
    rows = [
        ("test cases", len(tested)),
        ("mean Dice", _number(sum(dice) / len(dice))),
        ("median, lowest, highest", f"{dice[len(dice) // 2]:.3f}, {dice[0]:.3f}, {dice[-1]:.3f}"),
        ("mean generalised Dice", _mean([s.generalised_dice for s in tested])),
        ("mean HD95 (mm)", _mean([s.hd95_mm for s in tested])),
        (f"mean surface Dice at {TOLERANCE_MM:g} mm", _mean([s.nsd for s in tested])),
        ("mean volume error (mL)", _mean([abs(s.found_ml - s.truth_ml) for s in tested])),
    ]
    names = list(tested[0].dice_by_label)
    by_label = [(name, _mean([score.dice_by_label[name] for score in tested])) for name in names]
    return (
        "<h2>Test cases</h2>"
        + table(("", ""), rows)
        + "<h3>Dice by label</h3>"
        + table(("label", "mean Dice"), by_label)
    )


def _worst(analysis: Analysis, pictures: Pictures) -> str:
    shown = [score for score in analysis.tested if f"case_{score.case_id}" in pictures]
    images = "".join(_image(f"case_{score.case_id}", pictures) for score in shown)
    rows = [
        (s.case_id, _number(s.dice), _number(s.hd95_mm), _worst_label(s), _facts(s)) for s in shown
    ]
    head = ("case", "Dice", "HD95 (mm)", "worst label", "facts")
    return f"<h2>Worst cases</h2>{table(head, rows)}{images}"


def _worst_label(score: CaseScore) -> str:
    held = {name: dice for name, dice in score.dice_by_label.items() if dice is not None}
    if not held:
        return "-"
    name = min(held, key=lambda label: held[label])
    return f"{name} {held[name]:.3f}"


def _facts(score: CaseScore) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in sorted(score.facts.items())
    )


def _trends(found: Sequence[Trend], pictures: Pictures) -> str:
    if not found:
        return ""
    rows = [
        (t.fact, t.cases, f"{t.rho:+.2f}", f"{t.low:+.2f} to {t.high:+.2f}", _yes(t.is_clear))
        for t in found
    ]
    head = ("fact", "cases", "Spearman rho with Dice", "95% bootstrap", "leaves out 0")
    text = f"<p>{len(found)} facts were looked at: about one in twenty leaves out 0 by chance.</p>"
    return f"<h2>What the error goes along with</h2>{table(head, rows)}{text}" + _image(
        "trends", pictures
    )


def _calibration(found: Calibration | None, pictures: Pictures) -> str:
    if found is None:
        return ""
    rows = [
        ("expected calibration error, as it is", _number(found.before.expected_error)),
        (f"after temperature {found.temperature:.2f}", _number(found.after.expected_error)),
    ]
    return (
        "<h2>Calibration</h2><p>Voxels that the model gives at least 1% of being foreground; "
        f"{found.unseen_share:.1%} of the true foreground are not among them. The "
        f"temperature was fitted on {found.validation_cases} {VALIDATION} cases; the errors are "
        f"those of {found.test_cases} {TEST} cases.</p>"
    ) + (table(("", ""), rows) + _image("calibration", pictures))


def _variants(found: Sequence[VariantScore], pictures: Pictures) -> str:
    if not found:
        return ""
    rows = [
        (
            v.name,
            v.cases,
            _number(v.dice),
            f"{v.gain:+.4f} ({v.low:+.4f} to {v.high:+.4f})",
            _number(v.expected_error),
            f"{v.seconds:.2f}",
        )
        for v in found
    ]
    head = ("way to answer", "cases", "Dice", "gain (95%)", "ECE", "seconds a case")
    title = "<h2>Ensembles and averaged copies of the input</h2>"
    return title + table(head, rows) + _image("variants", pictures)


def _outliers(found: Outliers | None, pictures: Pictures) -> str:
    if found is None:
        return ""
    kinds: list[tuple[str, str | None]] = [(VALIDATION, None), (TEST, None)]
    kinds += [(ODD, kind) for kind in sorted({s.oddity or "" for s in found.scores} - {""})]
    rows = []
    for part, kind in kinds:
        flagged, among = found.flagged_share(kind, part)
        if among:
            dice = [
                s.dice for s in found.scores if s.part == part and (not kind or s.oddity == kind)
            ]
            rows.append((kind or part, f"{flagged} of {among}", _mean(dice)))
    text = (
        f"<p>Mahalanobis distance from {found.training_inputs} training inputs; flagged above "
        f"{found.threshold:.2f}, the 99th percentile of training inputs that the fit had not seen."
        "</p>"
    )
    head = ("cases", "flagged", "mean Dice")
    return f"<h2>Out of distribution</h2>{text}{table(head, rows)}" + _image("outliers", pictures)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """An HTML table; every cell is escaped."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{top}</tr>{body}</table>"


def _image(name: str, pictures: Pictures) -> str:
    if name not in pictures:
        return ""
    encoded = base64.b64encode(pictures[name]).decode()
    return f'<p><img alt="{escape(name)}" src="data:image/png;base64,{encoded}"></p>'


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return _number(sum(known) / len(known)) if known else "-"


def _yes(claim: bool) -> str:
    return "yes" if claim else "no"
