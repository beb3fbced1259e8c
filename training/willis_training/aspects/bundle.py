"""The ASPECTS bundle: the trained network, its states, its evaluation, its card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Judgement, Provenance
from willis_training.aspects import recipe
from willis_training.aspects.card import render_card
from willis_training.aspects.regions_fit import load_region_network
from willis_training.export.network_file import export_onnx
from willis_training.export.parity import compare
from willis_training.networks.unet import BothSides
from willis_training.publication import material
from willis_training.publication.bundle import (
    UNSIGNED,
    BundleContent,
    Release,
    next_version,
    publish,
)

LEARNT_FROM = (
    material.HEADS,
    material.ASPECTS_REGIONS,
    material.MNI_TEMPLATE,
    material.ACUTE_LESIONS,
    material.CHRONIC_LESIONS,
)
LIMITS = (
    INTENDED_USE_STATEMENT,
    "Performance on patients: not measured.",
    "Compares each region with the other side: bilateral, symmetric ischaemia is missed.",
    "Not a detector of haemorrhage, tumour or vessel occlusion.",
    "The side of the symptoms is not known to the model.",
)


def load_network(folder: Path) -> BothSides:
    """The best weights of a training folder, ready for inference."""
    return BothSides(load_region_network(folder / "best.pt")).eval()


def publish_bundle(
    training_folder: Path,
    root: Path,
    assets: Mapping[str, NDArray[Any]],
    states: Mapping[str, Any],
    thresholds: Mapping[str, Any],
    images: NDArray[np.float32],
    evaluation: Mapping[str, Any],
    training: Mapping[str, Any],
    version: str | None = None,
    provenance: Provenance | None = None,
    judgement: Judgement | None = None,
    release: Release = UNSIGNED,
) -> Path:
    """Export, check, write the next version. ``images`` (n, z, y, x) serve the parity gate."""
    network = load_network(training_folder)
    model = training_folder / "model.onnx"
    export_onnx(network, np.zeros((1, 1, *recipe.GRID_SHAPE), np.float32), model)
    parity = compare(network, model, images)
    manifest = recipe.draft_manifest(dict(states)).model_dump(mode="json")
    manifest |= {
        "version": version or next_version("aspects", root),
        "thresholds": dict(thresholds),
        "learnt_from": [one.model_dump() for one in LEARNT_FROM],
        "training": {**training, "export": vars(parity)},
        "evaluation": dict(evaluation.get("summary", {})),
        "limits": list(LIMITS),
        "provenance": None if provenance is None else provenance.model_dump(),
        "judgement": None if judgement is None else judgement.model_dump(),
    }
    card = render_card(manifest, evaluation)
    content = BundleContent(manifest, assets, images[0][None], evaluation, parity, card)
    return publish(model, content, root, release)
