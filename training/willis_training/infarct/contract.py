"""What the infarct network sees and says: the part of a manifest that is there before training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from willis_models.codes import INFARCT, INFARCT_CORE, PENUMBRA, Code
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import Manifest
from willis_models.perfusion.parameters import DEFAULTS

GRID_SHAPE = (32, 80, 64)
GRID_SPACING_MM = (4.0, 2.5, 2.5)
"""(z, y, x): slices of perfusion scans are thick; the grid holds 128 x 200 x 160 mm of a brain."""

PARAMETERS: dict[str, Any] = {
    "check": {"min_age_years": 18.0, "min_slices": 2},
    "perfusion": DEFAULTS.model_dump(mode="json"),
    "alignment": {
        "grid_mm": 4.0,
        "brain_low_hu": -100.0,
        "brain_high_hu": 200.0,
        "iterations": 40,
        "step_mm": 2.0,
        "max_shift_mm": 40.0,
        "min_similarity": 0.6,
    },
    "ready_maps": {"min_cbf": 2.0, "max_cbv": 9.0, "min_tissue_ml": 50.0},
    "prediction": {"temperature": 1.0, "offset": 0.0, "min_component_ml": 0.5, "interval": None},
}
LIMITS = (
    INTENDED_USE_STATEMENT,
    "Performance on patients: not measured.",
    "The predicted infarct assumes the mix of treatments and times of the training cases; whether "
    "and when a vessel is opened is not known to the model.",
    "Perfusion thresholds depend on scanner, protocol and software; volumes are not those of "
    "another software.",
    "Old infarcts, stenosis of the neck arteries and a weak heart delay the contrast agent too.",
)


def draft_manifest(**changes: Any) -> Manifest:
    """A manifest without weights: enough for ``prepare``, in training and in tests."""
    return Manifest.model_validate({**manifest_parts(), **changes})


def manifest_parts() -> dict[str, Any]:
    """Every key of the manifest, with nothing learnt yet."""
    return {
        "schema_version": "1.0",
        "name": "infarct",
        "version": "0.0.0",
        "pipeline": "infarct",
        "created": "2026-01-01T00:00:00+00:00",
        "inputs": _inputs(),
        "outputs": _outputs(),
        "parameters": PARAMETERS,
        "thresholds": {"predicted_infarct": {"value": 0.5, "chosen": "before any training"}},
        "files_sha256": {},
        "learnt_from": (),
        "training": {},
        "evaluation": {},
        "limits": LIMITS,
    }


def _inputs() -> tuple[Mapping[str, Any], ...]:
    """Relative flow and volume, times in seconds, density; ranges that tissue takes."""
    return (
        _input("cbf", "{ratio}", 0.0, 2.0, required=True),
        _input("cbv", "{ratio}", 0.0, 2.5, required=False),
        _input("mtt", "s", 0.0, 20.0, required=False),
        _input("tmax", "s", 0.0, 16.0, required=True),
        _input("ncct", "[hnsf'U]", 0.0, 80.0, required=False),
        _input("cta", "[hnsf'U]", 0.0, 200.0, required=False),
    )


def _input(role: str, unit: str, low: float, high: float, *, required: bool) -> Mapping[str, Any]:
    return {
        "role": role,
        "unit": unit,
        "shape": GRID_SHAPE,
        "affine_lps": _affine_about_centre(),
        "intensity": {"low": low, "high": high},
        "required": required,
    }


def _affine_about_centre() -> tuple[tuple[float, ...], ...]:
    """Array index to LPS mm from the middle of the brain: the grid's centre lies at zero."""
    z, y, x = GRID_SPACING_MM
    sizes = zip(GRID_SHAPE, GRID_SPACING_MM, strict=True)
    low_z, low_y, low_x = (-(count - 1) / 2 * step for count, step in sizes)
    return (
        (0.0, 0.0, x, low_x),
        (0.0, y, 0.0, low_y),
        (z, 0.0, 0.0, low_z),
        (0.0, 0.0, 0.0, 1.0),
    )


def _outputs() -> tuple[Mapping[str, Any], ...]:
    return (
        _output(1, "core", "Core (rCBF < 30%)", INFARCT_CORE),
        _output(2, "penumbra", "Penumbra (Tmax > 6 s without core)", PENUMBRA),
        _output(3, "predicted_infarct", "Predicted final infarct", INFARCT),
    )


def _output(value: int, key: str, label: str, structure: Code) -> Mapping[str, Any]:
    return {
        "value": value,
        "key": key,
        "label": label,
        "structure": (structure.value, structure.scheme, structure.meaning),
        "laterality": None,
    }
