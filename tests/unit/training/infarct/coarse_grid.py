"""The network's grid at half its resolution: the same brain in an eighth of the voxels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from willis_models.manifest import Manifest
from willis_training.infarct.contract import draft_manifest


def coarse_manifest(**changes: Any) -> Manifest:
    """The draft's manifest on voxels of 8 x 5 x 5 mm about the middle of the brain."""
    return draft_manifest(inputs=coarse_inputs(), **changes)


def coarse_inputs() -> list[dict[str, Any]]:
    """The inputs as the manifest's JSON has them."""
    inputs = draft_manifest().model_dump(mode="json")["inputs"]
    for entry in inputs:
        affine = np.array(entry["affine_lps"])
        affine[:3, 3] += 0.5 * affine[:3, :3].sum(axis=1)  # the middle of eight voxels
        affine[:3, :3] *= 2.0
        entry["affine_lps"] = affine.tolist()
        entry["shape"] = [size // 2 for size in entry["shape"]]
    return inputs


def coarsen_bundle(folder: Path) -> None:
    """Give a bundle whose network takes any size the coarse grid."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text()) | {"inputs": coarse_inputs()}
    path.write_text(json.dumps(document))
