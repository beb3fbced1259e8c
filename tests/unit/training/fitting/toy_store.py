"""A store of tiny cases with one bright box each, and runs that learn it in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from willis_training.fitting.config import RunConfig
from willis_training.fitting.samples import INDEX, CaseStore, PreparedCase, StoreIndex, write_case

SPACING_MM = (2.0, 2.0, 2.0)
TRAIN, VALIDATION = ("case_0", "case_1", "case_2"), ("case_3", "case_4")


def toy_case(number: int, shape: tuple[int, int, int] = (20, 24, 22)) -> PreparedCase:
    """Noise around 0.3 and a box of 8^3 voxels at 0.7, labelled 1."""
    rng = np.random.default_rng(number)
    image = rng.normal(0.3, 0.05, (1, *shape)).astype(np.float32)
    labels = np.zeros(shape, dtype=np.uint8)
    z, y, x = rng.integers(1, 11, 3)
    labels[z : z + 8, y : y + 8, x : x + 8] = 1
    image[0][labels > 0] += 0.4
    return PreparedCase(image, labels, SPACING_MM)


def toy_store(folder: Path, cases: int = 5) -> CaseStore:
    """``case_0``, ``case_1``, ..."""
    folder.mkdir(parents=True)
    entries = {
        f"case_{n}": write_case(toy_case(n), f"case_{n}", folder, key=str(n)) for n in range(cases)
    }
    names = {0: "background", 1: "lesion"}
    index = StoreIndex(data_set="toy", label_names=names, cases=entries)
    (folder / INDEX).write_text(index.model_dump_json())
    return CaseStore(folder)


def toy_run(folder: Path, **changes: Any) -> RunConfig:
    """Six steps on one CPU; everything that is random is switched on."""
    settings: dict[str, Any] = {
        "folder": folder,
        "iterations": 6,
        "batch": 2,
        "validate_every": 3,
        "network": {"kind": "unet_se", "widths": (4, 8), "patch": (16, 16, 16)},
        "optimiser": {"learning_rate": 1e-2},
        "schedule": {"warm_up": 2},
        "augmentation": {
            "rotation_deg": 10,
            "warp_sd": 0.02,
            "contrast": 0.1,
            "noise": 0.05,
            "bias_sd": 0.05,
            "slice_voxels": 3,
        },
        "hardware": {"accelerator": "cpu", "devices": 1, "precision": "float32"},
        "tracking": {"tensorboard": False, "pictures": 0},
    }
    for key, value in changes.items():
        inner = settings.get(key)
        both_parts = isinstance(inner, dict) and isinstance(value, dict)
        settings[key] = {**inner, **value} if both_parts else value
    return RunConfig.model_validate(settings)
