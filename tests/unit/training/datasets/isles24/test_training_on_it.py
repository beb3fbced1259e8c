"""One way for simulated and real cases: the same preparation, the same loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.unit.training.datasets.isles24.tree import copy_of, path_of, subject_of
from willis_models.pipelines.base import NOTHING_ASKED
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_training.cli import app
from willis_training.datasets.isles24.images import load_case
from willis_training.fitting.samples import CaseStore
from willis_training.infarct.contract import draft_manifest
from willis_training.infarct.preparation import InfarctPreparation, truth_on_grid

RUN = CliRunner()
CONFIG = """
folder: {folder}/run
iterations: 2
validate_every: 2
batch: 1
data: {{store: {folder}/store, split: {folder}/folds.json, fold: fold_0}}
network: {{kind: unet_se, in_channels: 11, classes: 2, patch: [16, 16, 16], widths: [2, 4]}}
hardware: {{accelerator: cpu, precision: float32, workers: 0}}
tracking: {{tensorboard: false, pictures: 0}}
"""


@pytest.mark.slow
def test_real_cases_are_prepared_and_trained_on_by_the_usual_commands(
    drawn: Path, tmp_path: Path
) -> None:
    train, store = copy_of(drawn, tmp_path), tmp_path / "store"
    path_of(train, "lesion-msk.nii.gz", "sub-stroke0004").unlink()
    path_of(train, "_tmax.nii.gz", "sub-stroke0006").unlink()
    cut = path_of(train, "_mtt.nii.gz", "sub-stroke0005")
    cut.write_bytes(cut.read_bytes()[:3000])
    arguments = ["prepare", "isles24", str(train), str(store), "--as", "infarct"]
    prepared = RUN.invoke(app, [*arguments, "--bundles", str(tmp_path / "none")])
    assert prepared.exit_code == 0, prepared.output
    assert "3 cases prepared, 2 set aside" in prepared.output
    index = CaseStore(store).index
    assert index.label_names == {0: "background", 1: "lesion"}
    assert "can't be read" in index.set_aside["sub-stroke0005"]
    assert "maps of Tmax and CBF" in index.set_aside["sub-stroke0006"]
    folds = ["data", "isles24", "folds", str(train), "--out", str(tmp_path / "folds.json")]
    assert RUN.invoke(app, [*folds, "--folds", "3"]).exit_code == 0
    names = '{"folds": [{"name": "fold_0", "train": ["sub-stroke0001", "sub-stroke0002"],'
    (tmp_path / "folds.json").write_text(names + '"validation": ["sub-stroke0003"], "test": []}]}')
    (tmp_path / "run.yaml").write_text(CONFIG.format(folder=tmp_path))
    fitted = RUN.invoke(app, ["fit", str(tmp_path / "run.yaml")])
    assert fitted.exit_code == 0, fitted.output
    assert (tmp_path / "run" / "best.pt").exists()


def test_the_network_sees_what_the_service_would_see(with_series: Path) -> None:
    manifest, subject = draft_manifest(), subject_of(with_series)
    case, infarct = load_case(subject)
    served = INFARCT.prepare(case, manifest, {}, NOTHING_ASKED)
    taught = InfarctPreparation(manifest)(subject)
    assert np.array_equal(taught.image, served.network_input)
    voxel_ml = float(np.prod(taught.spacing_mm)) / 1000.0
    native_ml = infarct.sum() * 5.0 * 3.2 * 3.2 / 1000.0
    assert abs(taught.labels.sum() * voxel_ml - native_ml) < 0.15 * native_ml
    tmax = taught.image[3] * 16.0
    assert tmax[taught.labels > 0].mean() > 6.0 > tmax[taught.image[6] > 0.5].mean()


def test_the_lattice_holds_what_the_infarct_fills_by_half(with_series: Path) -> None:
    case, infarct = load_case(subject_of(with_series))
    stack = case["ncct"].stack
    context = INFARCT.prepare(case, draft_manifest(), {}, NOTHING_ASKED).context
    assert not truth_on_grid(infarct * 0, stack, context.grid).any()
    everywhere = truth_on_grid(np.ones_like(infarct), stack, context.grid)
    assert everywhere.mean() > 0.9


def test_the_preparation_is_known_by_what_changes_its_bits() -> None:
    first, other = draft_manifest(), draft_manifest(limits=("another limit",))
    assert InfarctPreparation(first).digest == InfarctPreparation(other).digest
    parameters = {**first.parameters, "ready_maps": {**first.parameters["ready_maps"]}}
    parameters["ready_maps"]["min_cbf"] = 3.0
    changed = draft_manifest(parameters=parameters)
    assert InfarctPreparation(changed).digest != InfarctPreparation(first).digest
