"""The model card: what the model is, what it learnt from, what was measured and what was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render_card(manifest: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """CARD.md of a bundle."""
    sources = "\n".join(
        f"| {item['name']} | {item['licence']} | {item['source']} |"
        for item in manifest["learnt_from"]
    )
    limits = "\n".join(f"- {item}" for item in manifest["limits"])
    training = "\n".join(f"- {key}: {value}" for key, value in manifest["training"].items())
    return f"""# Model card: {manifest["name"]} {manifest["version"]}

ASPECTS regions and their state on non-contrast head CT. **{manifest["limits"][0]}**

## What it is
A 3D U-Net with residual and squeeze-excite blocks finds ten regions in each hemisphere (the right
one is shown to the same network in the mirror); a logistic classifier for each region compares it
with its mirror. Input: the brain on a 2-mm grid in MNI space, prepared by
`willis_models.pipelines.aspects.prepare`.

## What it learnt from
Simulated non-contrast CT only (`docs/simulation.md`), over:

| material | licence | source |
|---|---|---|
{sources}

## How it was trained
{training}

## What was measured
{evaluation.get("table", "Not evaluated yet.")}

The same figures, case by case, are in `evaluation.json`; the command that makes them is
`willis-train aspects evaluate`.

## Limits
{limits}
"""
