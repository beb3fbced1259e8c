"""Eight tiny cases with a bright cube to find, and a plan of two small networks on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from willis_training.datasets.splits import Fold, save_folds
from willis_training.fitting.samples import INDEX, PreparedCase, StoreIndex, write_case

PATCH = (16, 16, 16)
CASES = tuple(f"sub-{n // 2:02d}_ses-{n % 2}" for n in range(8))


def write_store(folder: Path) -> None:
    folder.mkdir(parents=True)
    cases = {name: write_case(bright_cube(n), name, folder, "") for n, name in enumerate(CASES)}
    index = StoreIndex(label_names={0: "background", 1: "cube"}, cases=cases)
    (folder / INDEX).write_text(index.model_dump_json())


def bright_cube(seed: int) -> PreparedCase:
    rng = np.random.default_rng(seed)
    labels = np.zeros(PATCH, dtype=np.uint8)
    z, y, x = rng.integers(1, 7, 3)
    labels[z : z + 8, y : y + 8, x : x + 8] = 1
    image = rng.normal(0.2, 0.05, (1, *PATCH)) + 0.5 * labels
    return PreparedCase(image.astype(np.float32), labels, (2.0, 2.0, 2.0))


def toy_plan(folder: Path, **changes: Any) -> Path:
    write_store(folder / "store")
    folds = [Fold("only", CASES[:4], CASES[4:6], CASES[6:])]
    save_folds(folds, folder / "folds.json", {})
    plan = {
        "folder": str(folder),
        "store": str(folder / "store"),
        "folds": str(folder / "folds.json"),
        "run": {
            "iterations": 3,
            "batch": 1,
            "validate_every": 3,
            "hardware": {"accelerator": "cpu", "precision": "float32", "threads": 1},
        },
        "network": {"patch": list(PATCH), "classes": 2},
        "architectures": {
            "small": {"kind": "unet_se", "widths": [4, 8]},
            "other": {"kind": "monai_unet", "widths": [4, 8], "residual_units": 1},
        },
        "latency_repeats": 3,
        **changes,
    }
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path
