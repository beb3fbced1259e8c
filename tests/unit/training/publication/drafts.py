"""Contents of bundles to publish, and drafts of them on disk."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.unit.models.tiny_bundle import image, manifest_document, write_network
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.export.parity import Parity, save_parity
from willis_training.publication.bundle import BundleContent

EXACT = Parity(0.0, 1.0, 0.0)
TEST_SET, OTHER_TEST_SET = "a" * 64, "b" * 64


def manifest(version: str = "0.1.0", dice: float | None = None, **changes: object) -> dict:
    honest = {
        "version": version,
        "learnt_from": [{"name": "Phantoms", "licence": "CC0", "source": "made for tests"}],
        "limits": [INTENDED_USE_STATEMENT, "Performance on patients: not measured."],
        "judgement": None if dice is None else judgement(dice),
    }
    return manifest_document(**{**honest, **changes})


def judgement(dice: float, error_ml: float = 1.0, test_set: str = TEST_SET) -> dict:
    figures = [
        {"name": "Dice", "value": dice},
        {"name": "volume error", "value": error_ml, "higher_is_better": False},
    ]
    return {"test_set_sha256": test_set, "cases": 5, "figures": figures}


def content(version: str = "0.1.0", dice: float | None = None, **changes: object) -> BundleContent:
    return BundleContent(
        manifest=manifest(version, dice, **changes),
        assets={"atlas": np.arange(8, dtype=np.uint8)},
        golden_input=image(),
        card="# Tiny\n",
        evaluation={"dice": 0.9},
        parity=EXACT,
    )


def write_draft(folder: Path, dice: float = 0.8) -> Path:
    folder.mkdir()
    write_network(folder / "model.onnx")
    document = manifest(dice=dice)
    for key in ("version", "created", "files_sha256"):
        del document[key]
    (folder / "manifest.json").write_text(json.dumps(document))
    (folder / "evaluation.json").write_text('{"dice": 0.9}')
    np.savez(folder / "golden.npz", input=image())
    save_parity(EXACT, folder / "parity.json")
    return folder
