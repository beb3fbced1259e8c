"""The evaluation of the infarct network as a page with its figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Manifest
from willis_training.infarct.evaluate import CaseRecord
from willis_training.infarct.evaluate_summary import SIMULATED
from willis_training.infarct.evaluation_page_figures import (
    draw_cases,
    draw_reliability,
    draw_volumes,
)
from willis_training.infarct.evaluation_page_tables import (
    agreement_table,
    bins_table,
    course_table,
    methods_table,
    paired_table,
)
from willis_training.infarct.study_numbers import LOOKED_AT

AGREEMENT, RELIABILITY, CASES = "agreement", "reliability", "dice"
_BASELINES = """The two thresholds are the segments that the service draws. The logistic regression
sees one voxel of the maps at a time; it was fitted on training cases, its threshold chosen on
validation cases, and its masks are made by the same code as the network's."""


def write_page(
    path: Path, manifest: Manifest, summary: Mapping[str, Any], records: Sequence[CaseRecord]
) -> None:
    """Write the page and its figures (PNG) beside it, the page whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [record for record in records if record.scores]
    figures = {
        name: path.with_name(f"{path.stem}-{name}.png") for name in (CASES, AGREEMENT, RELIABILITY)
    }
    draw_cases(done, list(summary["methods"]), figures[CASES])
    if summary["agreement"]:
        draw_volumes(done, list(summary["methods"]), figures[AGREEMENT])
    draw_reliability(summary["calibration"], figures[RELIABILITY])
    partial = path.with_suffix(".part")
    partial.write_text(render_page(manifest, summary, figures), encoding="utf-8")
    os.replace(partial, path)


def render_page(manifest: Manifest, summary: Mapping[str, Any], figures: Mapping[str, Path]) -> str:
    """The page as Markdown."""
    return f"""# Evaluation of {manifest.name} {manifest.version}
{INTENDED_USE_STATEMENT}
Performance on patients: {summary["performance_on_patients"]}.

{_about(summary)}

## Results
{methods_table(summary)}

Means over cases; in brackets 95% intervals, bootstrapped by case. The figures are defined as
ISLES'24 defines them: Dice of the voxels, absolute difference of volumes, lesions found one to one
at an intersection over union of at least .20 (26-connected), absolute difference of their number.
{_BASELINES}

{_verdict(summary)}

| beside these figures, never merged with them | mean Dice |
|---|---|
| {summary["public_ceiling"]["set"]} | {summary["public_ceiling"]["dice"]:.3f} |
| **performance on patients** | **{summary["performance_on_patients"]}** |

![Dice of every case by method, and by volume]({figures[CASES].name})

## Paired tests
Difference of the case's figure, network minus the other. Interval: 95%, bootstrap by case. p:
Wilcoxon's signed-rank test, after Holm's correction for all pairs of methods.

{paired_table(summary)}

## By size of the true infarct
{bins_table(summary["by_size"], summary["methods"])}

## By centre
{_centre_text(summary)}

{bins_table(summary["by_centre"], summary["methods"])}

{_courses(summary)}## Agreement of volumes
{agreement_text(summary, figures[AGREEMENT].name)}

## Calibration
{calibration_text(summary["calibration"])}

![Reliability]({figures[RELIABILITY].name})

## Interval of the volume
{interval_text(summary["interval"])}

## Limits
{_limits(summary)}
- Truth is scored within the scanned slab; what lies above or below it is nobody's error here.
- Rejected studies have no numbers and are no part of the means.
"""


def _about(summary: Mapping[str, Any]) -> str:
    rejected = ", ".join(f"{count} {code}" for code, count in summary["rejected"].items())
    volumes = " / ".join(f"{value:g}" for value in summary["truth_ml"].values())
    held_out = "new heads, new infarct masks, new draws of the scanner"
    if summary["source"] != SIMULATED:
        held_out = f"cases of {summary['source']} that the network was not trained on"
    return _wrapped(
        "Made by `willis-train infarct evaluate`. The exported ONNX ran through the `analyse()` "
        f"that serves, on {summary['cases']} held-out studies: {held_out}. "
        f"{summary['analysed']} were analysed; rejected: {rejected or 'none'}. True volumes, "
        f"percentiles 5/25/50/75/95: {volumes} mL. Median time of an analysis: "
        f"{summary['seconds_median']:g} s."
    )


def _wrapped(text: str) -> str:
    return fill(text, 100, break_long_words=False, break_on_hyphens=False)


def _verdict(summary: Mapping[str, Any]) -> str:
    if not summary["beats"]:
        return ""
    lines = ["| to reach: mean Dice above | reached |", "|---|---|"]
    lines += [
        f"| {name} | {'yes' if won else '**no**'} |" for name, won in summary["beats"].items()
    ]
    return "\n".join(lines)


def _centre_text(summary: Mapping[str, Any]) -> str:
    if summary["source"] != SIMULATED:
        return "Centres as the set names them."
    return "In simulation a centre is a kind of scanner: how it samples time and space."


def _courses(summary: Mapping[str, Any]) -> str:
    """By reperfusion, which the maps can't show; nothing where it is not known."""
    if not summary["by_course"]:
        return ""
    return f"""## By reperfusion
What became of the closed vessel is drawn after imaging and no method can see it. Where flow does
not return, late tissue dies, and a threshold of Tmax is nearly right.

{course_table(summary["by_course"])}

"""


def _limits(summary: Mapping[str, Any]) -> str:
    if summary["source"] != SIMULATED:
        return f"- One set, {summary['source']}: other hospitals and scanners were not seen."
    heads = ", ".join(summary["groups"])
    return f"""- The cases are simulated: heads and infarct masks are real; flow, bolus, scanner,
  course are drawn. A figure here says how well the network undoes the simulator, and nothing about
  patients.
- {len(summary["groups"])} heads ({heads}) say little about other anatomies.
  Cases of one head are alike, so that the intervals are too narrow.
- The heads are not new to those who made this version: other studies of theirs (numbers
  {LOOKED_AT}) were looked at before the last choices of threshold and calibration."""


def agreement_text(summary: Mapping[str, Any], picture: str) -> str:
    """Bias and limits of every method, and the plots."""
    if not summary["agreement"]:
        return "Fewer than three cases: nothing to say."
    return f"""{agreement_table(summary)}

Bland and Altman: predicted minus true volume, bias and limits (bias -+ 1.96 SD). The last column is
the correlation of the absolute difference with the volume: where it is high, the limits are too
wide for small infarcts and too narrow for large ones.

![Bland-Altman plots]({picture})"""


def calibration_text(calibration: Mapping[str, Any]) -> str:
    """Expected error before and after calibration, and the bins after it."""
    if "before" not in calibration:
        return "Not measured."
    before, after = calibration["before"], calibration["after"]
    lines = [
        _wrapped(
            "Voxels of the network's lattice that it gives at least 1%; "
            f"{calibration['unseen_share']:.1%} of a case's infarct, on average, are not among "
            f"them. Expected calibration error {before['expected_error']:.4f} as the network says "
            f"it, {after['expected_error']:.4f} after the temperature and offset fitted on "
            "validation cases."
        ),
        "",
        "| mean probability | share that infarcted | voxels |",
        "|---|---|---|",
    ]
    for count, says, seen in zip(after["counts"], after["confidence"], after["right"], strict=True):
        if count:
            lines.append(f"| {says:.3f} | {seen:.3f} | {count} |")
    return "\n".join(lines)


def interval_text(interval: Mapping[str, Any] | None) -> str:
    """How often the interval held."""
    if interval is None:
        return "The bundle gives none."
    low, high = interval["inside_interval"]
    lines = [
        _wrapped(
            "Split conformal, **calibrated on simulated data**. Promised: "
            f"{interval['promised']:.0%} of the cases. Held the true volume in "
            f"{interval['inside']:.1%} ({low:.1%} to {high:.1%}) of {interval['cases']}; median "
            f"width {interval['median_width_ml']:g} mL. The promise is for all cases together, "
            "not for each size:"
        ),
        "",
        "| true infarct | cases | interval held |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {found['cases']} | {found['inside']:.0%} |"
        for name, found in interval["by_size"].items()
    ]
    return "\n".join(lines)
