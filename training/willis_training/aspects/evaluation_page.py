"""The evaluation as tables: for ``docs/evaluation.md`` and for the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from willis_models.codes import ASPECTS_REGIONS
from willis_models.manifest import Manifest

TARGETS = """| to reach | measured | reached |
|---|---|---|
"""


def targets_table(summary: Mapping[str, Any]) -> str:
    """The figures to reach beside what was measured."""
    dice, states = summary["dice_network"], summary["classifier"]
    rows = (
        ("mean region Dice at least .90", f"{dice['mean']:.3f}", dice["mean"] >= 0.9),
        (
            "no region under .80",
            f"{dice['lowest_region']:.3f} ({_lowest(dice)})",
            dice["lowest_region"] >= 0.8,
        ),
        (
            "stroke-free studies at 10 in at least 85%",
            f"{states['stroke_free_at_10']:.0%} of {states['stroke_free_studies']}",
            states["stroke_free_at_10"] >= 0.85,
        ),
        (
            "region sensitivity at least .60 for drops of 3 HU or more",
            f"{states['sensitivity_3hu']:.3f}",
            states["sensitivity_3hu"] >= 0.6,
        ),
        (
            "at specificity at least .90",
            f"{states['specificity']:.3f}",
            states["specificity"] >= 0.9,
        ),
        (
            "laterality never wrong",
            "{right} right, {wrong} wrong, {none_chosen} none chosen".format(
                **summary["laterality"]
            ),
            summary["laterality"]["wrong"] == 0,
        ),
    )
    return TARGETS + "\n".join(f"| {a} | {b} | {'yes' if c else '**no**'} |" for a, b, c in rows)


def _lowest(dice: Mapping[str, Any]) -> str:
    regions: Mapping[str, float] = dice["by_region"]
    return min(regions, key=lambda name: regions[name])


def dice_table(summary: Mapping[str, Any]) -> str:
    """Dice by region: the network, and the atlas baselines on the same cases."""
    columns = {
        "network": summary["dice_network"],
        "atlas, affine only": summary["dice_affine_atlas"],
    }
    if summary.get("dice_syn_atlas"):
        columns["atlas, SyN"] = summary["dice_syn_atlas"]
        columns["network, the SyN cases"] = summary["dice_network_on_syn_cases"]
    head = "| region | " + " | ".join(f"{n} (n={c['n']})" for n, c in columns.items()) + " |"
    rule = "|---|" + "---|" * len(columns)
    body = [
        f"| {name} | " + " | ".join(f"{c['by_region'][name]:.3f}" for c in columns.values()) + " |"
        for name in ASPECTS_REGIONS
    ]
    mean = "| **mean** | " + " | ".join(f"**{c['mean']:.3f}**" for c in columns.values()) + " |"
    worst = "| lowest case | " + " | ".join(f"{c['lowest_case']:.3f}" for c in columns.values())
    return "\n".join([head, rule, *body, mean, worst + " |"])


def states_table(summary: Mapping[str, Any]) -> str:
    """Detection by the classifier and by the deterministic rule."""
    classifier, rule = summary["classifier"], summary["rule"]
    rows = [
        ("sensitivity, all drops (1.5-9 HU)", "sensitivity"),
        ("sensitivity, drops of 3 HU or more", "sensitivity_3hu"),
        ("specificity", "specificity"),
        ("stroke-free studies at 10", "stroke_free_at_10"),
        ("mean error of the score", "score_error_mean"),
        ("mean absolute error of the score", "score_error_abs_mean"),
    ]
    lines = [f"| {name} | {classifier[key]:.3f} | {rule[key]:.3f} |" for name, key in rows]
    drops = [
        f"| sensitivity, {drop} | {value:.3f} | {rule['sensitivity_by_drop'][drop]:.3f} |"
        for drop, value in classifier["sensitivity_by_drop"].items()
    ]
    return "\n".join(["| | classifier | deterministic rule |", "|---|---|---|", *lines, *drops])


def region_states_table(summary: Mapping[str, Any]) -> str:
    """Sensitivity and specificity of each region."""
    lines = [
        f"| {name} | {f['affected']} | {f['sensitivity']:.2f} | {f['specificity']:.3f} |"
        for name, f in summary["classifier"]["by_region"].items()
    ]
    head = "| region | affected | sensitivity | specificity |\n|---|---|---|---|"
    return "\n".join([head, *lines])


def strata_table(summary: Mapping[str, Any]) -> str:
    """Dice by slice thickness, sensitivity by cover, calibration of the probabilities."""
    thickness = [
        f"| {name} | {f['n']} | {f['mean']:.3f} |"
        for name, f in summary["dice_by_thickness"].items()
    ]
    cover = [
        f"| {name} | {f['n']} | {f['sensitivity']:.2f} |"
        for name, f in summary["sensitivity_by_cover"].items()
    ]
    calibration = summary["calibration"]
    bins = [f"| {b['predicted']:.2f} | {b['seen']:.2f} | {b['n']} |" for b in calibration["bins"]]
    return "\n".join(
        [
            "| slice thickness | studies | mean Dice |\n|---|---|---|",
            *thickness,
            "\n| lesion covers of the region (drops of 3 HU or more) | regions | sensitivity |",
            "|---|---|---|",
            *cover,
            "\n| mean probability | share truly affected | regions |\n|---|---|---|",
            *bins,
            f"\nExpected calibration error {calibration['expected_error']:.3f}.",
        ]
    )


def evaluation_table(summary: Mapping[str, Any]) -> str:
    """All tables, for the model card."""
    heads = ", ".join(summary["heads"])
    return f"""Held-out simulated studies: {summary["cases"]} of the heads {heads}, with lesions
that nothing was trained on; {summary["rejected"]} rejected. The exported ONNX through `analyse()`,
compared on the native slices.

Nobody had looked at these studies before the figures were made, but the heads are not new: two
rules for states and sides were chosen for version 0.1.0 on other studies of the same three heads
(`docs/decisions/old-infarct-and-side.md`). Three heads say little about other anatomies.

{targets_table(summary)}

{dice_table(summary)}

{states_table(summary)}

{region_states_table(summary)}

{strata_table(summary)}

| performance on patients | **not measured** |
|---|---|

Anchors from the literature, never to be merged with the figures above: region Dice .932 against
SyN labels on real scans (the DeepStroke write-up); region sensitivity and specificity on patients
66/92 (Kuang, against DWI), 63/97 (Heuron), 58/88 (e-ASPECTS); a hundred raters agree exactly in
28% of studies.
"""


def write_page(page: Path, manifest: Manifest, summary: Mapping[str, Any]) -> None:
    """Write ``docs/evaluation.md`` for one version of the model."""
    training = manifest.training
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        f"""# Evaluation of {manifest.name} {manifest.version}

Made by `willis-train aspects evaluate`; the cases one by one are in the bundle's
`evaluation.json`. What the same network says of real scans: [real-scans.md](real-scans.md). How
the studies are simulated: [simulation.md](simulation.md).

Weights `{manifest.weights_sha256[:16]}`, {training.get("iterations_done")} iterations on
{training.get("simulated_cases")} simulated studies of {len(training.get("training_heads", []))}
training heads and the head for selection; thresholds chosen out of fold on the same heads.

{evaluation_table(summary)}"""
    )
