"""The infarct model's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from willis_models.manifest import Manifest
from willis_training.publication.card import render_card as plain_card

_ABOUT = """Predicts the final infarct that follow-up MRI will show from acute CT perfusion.

A 3D U-Net with residual and squeeze-excite blocks on a grid of {shape} voxels of {spacing} mm about
the middle of the brain. Input: relative CBF and CBV, MTT and Tmax as `willis_models.perfusion`
measures them, plain CT and CT angiography where they are there, the share of tissue in each voxel,
and for each input that may be missing a channel that says so. It was trained on simulated scans
(`docs/simulation-ctp.md`), in which inputs were left out at random (`docs/training/infarct.md`).

The prediction is not a measurement: whether and when a vessel is opened is not known to the
model."""


def render_card(manifest: Manifest, evaluation: Mapping[str, Any]) -> str:
    """CARD.md of the bundle; ``evaluation`` may bring a ``table`` in Markdown."""
    spec = manifest.inputs[0]
    spacing = [max(abs(row[n]) for row in spec.affine_lps[:3]) for n in range(3)]
    about = _ABOUT.format(
        shape=" x ".join(map(str, spec.shape)), spacing=" x ".join(f"{mm:g}" for mm in spacing)
    )
    table = evaluation.get("table")
    if table:
        about += f"\n\n## Against its baselines, on simulated test heads\n{table}"
    return plain_card(manifest, about)
