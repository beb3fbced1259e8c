"""The page about real scans: every figure and every judgement follows from the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from willis_models.codes import ASPECTS_REGIONS, SIDES
from willis_models.findings import Findings, SegmentFinding, SideScore, State
from willis_models.manifest import Manifest
from willis_models.volume import SliceStack
from willis_training.aspects.expert_masks import JudgedSlice, UnusableSlice
from willis_training.aspects.real_slices_page import number_or_dash, slices_part

COMMAND = "python -m willis_training.aspects.real_scans --data ../shared --out docs"
BESIDE_THE_HYPODENSITY = ("M2 left", "M3 left", "M6 left")
"""The regions that border on what is plainly dark in the whole scan."""


@dataclass(frozen=True)
class RealPatient:
    """The slices that were analysed and what was found."""

    stack: SliceStack
    findings: Findings


def real_scans_page(
    manifest: Manifest,
    patient: RealPatient,
    slices: Sequence[JudgedSlice | UnusableSlice],
    patient_picture: str,
    slices_picture: str,
) -> str:
    """``docs/real-scans.md``."""
    judged = [item for item in slices if isinstance(item, JudgedSlice)]
    unusable = [item for item in slices if isinstance(item, UnusableSlice)]
    return "\n\n".join(
        (
            _introduction(manifest),
            _patient_part(patient, patient_picture),
            slices_part(judged, unusable, slices_picture),
            _sources(),
        )
    )


def _introduction(manifest: Manifest) -> str:
    return f"""# {manifest.name} {manifest.version} on real scans

Weights `{manifest.weights_sha256[:16]}`. Made by

```
{COMMAND}
```

and every figure and judgement follows from the results, so the page changes with the model.

One patient without a reference reading, and single slices of other patients: this shows how a
network that learnt from simulation behaves on real images. **It is no measure of performance on
patients; that was not measured.**"""


def _patient_part(patient: RealPatient, picture: str) -> str:
    stack, findings = patient.stack, patient.findings
    steps = stack.slice_steps_mm
    scan = f"""## A whole scan

Non-contrast CT, {stack.shape[0]} slices, gantry tilt {stack.tilt_deg:.1f} degrees, slice steps
{steps.min():.1f}-{steps.max():.1f} mm, age unknown. It shows a hypodensity of the left temporal and
occipital lobes, wide sulci and dark white matter around the ventricles. Nobody has read an ASPECTS
on it, and much of the hypodensity lies behind and below the ten regions, so there is no right
answer to compare with, only a side."""
    if findings.rejection is not None:
        said = f"**Refused**: `{findings.rejection.code}`. {findings.rejection.message}"
        return "\n\n".join((scan, said, _quality_table(findings)))
    figure = f"![Six levels of the scan, plain and with the regions found](images/{picture})"
    return "\n\n".join(
        (scan, figure, _scores(findings), _region_table(findings), _quality_table(findings))
    )


def _scores(findings: Findings) -> str:
    lines = [_score_line(score) for score in findings.scores]
    chosen = findings.side_selection
    side = chosen.side if chosen else None
    verdict = {
        "left": "The side that leads is the side of the visible hypodensity.",
        "right": "**The side that leads is the wrong one**: the hypodensity is on the left.",
    }
    missed = "**No region was called**, though a hypodensity is plain to see on the left."
    how = chosen.how if chosen else ""
    away = _called_away(findings.scores)
    return "\n".join([*lines, "", how, verdict.get(side or "", missed), away])


def _called_away(scores: Sequence[SideScore]) -> str:
    """Names the calls that the visible hypodensity does not explain."""
    called = [f"{region} {score.side}" for score in scores for region in score.affected]
    away = [name for name in called if name not in BESIDE_THE_HYPODENSITY]
    if not away:
        return ""
    return f"Called although the visible hypodensity does not border on it: {', '.join(away)}."


def _score_line(score: SideScore) -> str:
    if score.score is None:
        return f"- {score.side}: no score; not assessable: {', '.join(score.not_assessable)}."
    called = ", ".join(score.affected) or "none"
    open_regions = ", ".join((*score.indeterminate, *score.not_assessable)) or "none"
    return (
        f"- {score.side}: **{score.score}** ({score.lowest}-{score.highest}); "
        f"affected: {called}; open: {open_regions}."
    )


def _region_table(findings: Findings) -> str:
    columns = "HU | mirror HU | difference | ratio | state | rule | probability | mL"
    lines = [f"| region | {columns} |", "|---|" + "---|" * 8]
    for region in ASPECTS_REGIONS:
        lines += [_region_row(findings.segment(f"{side}_{region}")) for side in SIDES]
    return "\n".join(lines)


def _region_row(item: SegmentFinding) -> str:
    state = _words(item.state)
    cells = (
        number_or_dash(item.value("mean_hu"), ".1f"),
        number_or_dash(item.value("mirror_mean_hu"), ".1f"),
        number_or_dash(item.value("difference_hu"), "+.1f"),
        number_or_dash(item.value("ratio"), ".2f"),
        f"**{state}**" if item.state == "affected" else state,
        _words(item.rule_state),
        number_or_dash(item.value("probability"), ".2f"),
        number_or_dash(item.value("volume_ml"), ".1f"),
    )
    return f"| {item.label} | " + " | ".join(cells) + " |"


def _quality_table(findings: Findings) -> str:
    rows = [
        f"| {q.code} | {q.outcome} | {number_or_dash(q.value, 'g')}{_unit(q.unit)} | {q.message} |"
        for q in findings.quality
    ]
    return "\n".join(["| quality item | outcome | value | |", "|---|---|---|---|", *rows])


def _unit(unit: str | None) -> str:
    return "" if unit in (None, "1") else f" {unit}"


def _words(state: State | None) -> str:
    return (state or "-").replace("_", " ")


def _sources() -> str:
    return """## Where the scans come from

- `samples/ncct_ge_tilt`: neurolabusc/dcm_qa_ct on GitHub, BSD-2-Clause.
- `samples/ncct_penumbra_slices`: twelve slices of CPAISD (Umerenkov, Kudin, Peksheva and Pavlov,
  arXiv 2404.02518; Zenodo record 10892316), CC BY 4.0; shown here windowed, cropped, and with
  outlines drawn over them.

Neither was used for training or for choosing a threshold.
"""
