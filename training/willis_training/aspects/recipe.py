"""The values that go into the manifest before anything is learnt."""

from __future__ import annotations

from typing import Any

from willis_models.codes import ASPECTS_REGIONS, ASPECTS_STRUCTURES, SIDES
from willis_models.manifest import Manifest
from willis_training.aspects.template import TEMPLATE_ORIGIN_LPS, TEMPLATE_SPACING_MM

GRID_SHAPE = (72, 128, 112)
GRID_SPACING_MM = 1.5
GRID_ORIGIN_LPS = (-83.25, -85.25, -28.0)

CHECK: dict[str, Any] = {
    "min_age_years": 18.0,
    "min_kvp": 100.0,
    "max_kvp": 140.0,
    "max_slice_thickness_mm": 10.0,
    "min_slices": 10,
}
BRAIN: dict[str, Any] = {
    "low_hu": -8.0,
    "high_hu": 85.0,
    "bone_hu": 150.0,
    "opening_mm": 4.0,
    "min_volume_ml": 900.0,
    "max_volume_ml": 1900.0,
    "min_extent_mm": [85.0, 125.0, 100.0],
    "min_component_share": 0.95,
}
REGISTRATION: dict[str, Any] = {
    "grid_spacing_mm": 2.0,
    "shrink_factors": [4, 2],
    "iterations": 100,
    "step_mm": 0.5,
    "pitches_deg": [-20.0, -10.0, 0.0, 10.0, 20.0],
    "template_spacing_mm": TEMPLATE_SPACING_MM,
    "template_origin_lps": list(TEMPLATE_ORIGIN_LPS),
    "template_margin_mm": 6.0,
    "min_similarity": 0.8,
    "warn_similarity": 0.85,
    "warn_symmetry": 0.5,
    "max_roll_deg": 30.0,
}
TISSUE: dict[str, Any] = {
    "csf_below_hu": 16.0,
    "calcification_above_hu": 60.0,
    "old_infarct_below_hu": 20.0,
    "old_infarct_min_ml": 1.0,
    "old_infarct_max_share": 0.1,
    "haemorrhage_above_hu": 60.0,
    "haemorrhage_min_ml": 1.0,
    "metal_above_hu": 2500.0,
    "metal_max_share": 0.01,
    "smoothing_mm": 4.0,
    "min_counted_share": 0.3,
    "min_counted_ml": 0.4,
    "min_covered_share": 0.9,
}
RULE: dict[str, Any] = {"max_ratio": 0.95, "min_difference_hu": 2.0}
UNTRAINED_STATES: dict[str, Any] = {
    "features": [],
    "regions": {},
    "study_threshold": 1.0,
    "max_not_assessable": 3,
}
INTENSITY = {"low": 0.0, "high": 80.0}


def network_input() -> dict[str, Any]:
    """The manifest's description of the network's input."""
    affine = [
        [0.0, 0.0, GRID_SPACING_MM, GRID_ORIGIN_LPS[0]],
        [0.0, GRID_SPACING_MM, 0.0, GRID_ORIGIN_LPS[1]],
        [GRID_SPACING_MM, 0.0, 0.0, GRID_ORIGIN_LPS[2]],
        [0.0, 0.0, 0.0, 1.0],
    ]
    return {
        "role": "ncct",
        "unit": "[hnsf'U]",
        "shape": list(GRID_SHAPE),
        "affine_lps": affine,
        "intensity": INTENSITY,
    }


def outputs() -> list[dict[str, Any]]:
    """The label map: 1-10 patient left, 11-20 patient right, in the order C, L, I, IC, M1-M6."""
    found = []
    for offset, side in zip((0, 10), SIDES, strict=True):
        for n, region in enumerate(ASPECTS_REGIONS, start=1):
            code = ASPECTS_STRUCTURES[region]
            found.append(
                {
                    "value": offset + n,
                    "key": f"{side}_{region}",
                    "label": f"{region} {side}",
                    "structure": [code.value, code.scheme, code.meaning],
                    "laterality": side,
                }
            )
    return found


def draft_manifest(states: dict[str, Any] | None = None) -> Manifest:
    """A manifest with everything but the learnt parts, for preparing training cases."""
    return Manifest.model_validate(
        {
            "schema_version": "1.0",
            "name": "aspects",
            "version": "0.0.0",
            "pipeline": "aspects",
            "created": "1970-01-01T00:00:00Z",
            "inputs": [network_input()],
            "outputs": outputs(),
            "parameters": {
                "check": CHECK,
                "brain": BRAIN,
                "registration": REGISTRATION,
                "tissue": TISSUE,
                "rule": RULE,
                "states": states or UNTRAINED_STATES,
            },
            "thresholds": {},
            "files_sha256": {},
            "learnt_from": [],
            "training": {},
            "evaluation": {},
            "limits": [],
        }
    )
