"""``willis predict`` on ready maps in the folders and names of the ISLES'24 data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.infarct_bundle import write_infarct_bundle
from tests.unit.models.pipelines.infarct.case import map_case, phantom
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_service.application.predict import PredictNow
from willis_service.bootstrap.working import build_predict
from willis_service.commands.exit_codes import ExitCode
from willis_service.commands.predict import predict
from willis_service.settings import Settings

CASE = "sub-stroke0001"


@pytest.fixture(scope="module")
def analyse(tmp_path_factory: pytest.TempPathFactory) -> PredictNow:
    folder = tmp_path_factory.mktemp("installation")
    root = write_infarct_bundle(folder / "bundles")
    settings = Settings(data_dir=folder / "data", bundle_root=root, require_signature=False)
    return build_predict(settings, lambda: {INFARCT.name: INFARCT})


def write_tree(folder: Path, *names: str, scale: float = 1.0) -> Path:
    """The maps of one patient below ``derivatives``, RAS as the challenge has them, and a mask.

    Tmax is a little longer than the phantom's delays, as programs measure it.
    """
    first = folder / "derivatives" / CASE / "ses-01" / "perfusion-maps"
    second = folder / "derivatives" / CASE / "ses-02"
    images = map_case()
    for name in names:
        path = first / f"{CASE}_ses-01_space-ncct_{name}.nii.gz"
        longer = 1.2 if name == "tmax" else 1.0
        save(path, images[name].stack.voxels * np.float32(longer * scale))
    save(second / f"{CASE}_ses-02_space-ncct_lesion-msk.nii.gz", np.ones(phantom().classes.shape))
    return folder


def save(path: Path, voxels: np.ndarray) -> None:
    """The phantom's voxels (z, y, x), stored (i, j, k) to the right, front and top."""
    still = phantom().dynamic.mean
    last = still.to_world(np.array(still.shape) - 1)
    steps_mm = (still.row_step_lps[0], still.column_step_lps[1], float(still.slice_steps_mm[0]))
    affine = np.diag([*steps_mm, 1.0])
    affine[:3, 3] = (-last[0], -last[1], still.origins_lps[0, 2])
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = voxels.transpose(2, 1, 0)[::-1, ::-1].astype(np.float32)
    nib.save(nib.Nifti1Image(stored, affine), path)


def findings(folder: Path) -> Any:
    return json.loads((folder / "findings.json").read_text())


def test_maps_alone_give_core_penumbra_and_prediction_on_their_own_grid(
    analyse: PredictNow, tmp_path: Path
) -> None:
    study = write_tree(tmp_path / "study", "tmax", "cbf", "cbv", "mtt")

    code = predict(analyse, study, "infarct", tmp_path / "out")

    found = findings(tmp_path / "out")
    assert code is ExitCode.OK
    assert found["perfusion"]["source"] == "maps"
    assert {one["laterality"] for one in found["segments"]} == {"left"}
    assert {"READY_MAPS", "MAP_UNIT_ASSUMED"} <= {item["code"] for item in found["quality"]}
    labels, source = (nib.load(path) for path in (tmp_path / "out" / "labels.nii.gz", tmax(study)))
    np.testing.assert_allclose(labels.affine, source.affine)
    where = np.asarray(labels.dataobj) > 0
    assert np.asarray(source.dataobj)[where].min() > 5.0
    assert (labels.affine @ [*np.argwhere(where).mean(axis=0), 1.0])[0] < -20.0


def tmax(study: Path) -> Path:
    (path,) = study.rglob("*_tmax.nii.gz")
    return path


def test_a_missing_map_is_named_with_what_its_file_is_to_be_called(
    analyse: PredictNow, tmp_path: Path
) -> None:
    study = write_tree(tmp_path / "study", "tmax", "mtt")

    code = predict(analyse, study, "infarct", tmp_path / "out")

    rejection = findings(tmp_path / "out")["rejection"]
    assert (code, rejection["code"]) == (ExitCode.REJECTED, "NO_SUITABLE_SERIES")
    assert "No file shows: Map of cerebral blood flow (_cbf)." in rejection["message"]
    assert "the end of its name: _ctp, _tmax, _cbf" in rejection["message"]


def test_maps_in_another_unit_are_refused_with_what_to_do(
    analyse: PredictNow, tmp_path: Path
) -> None:
    study = write_tree(tmp_path / "study", "tmax", "cbf", scale=1000.0)

    predict(analyse, study, "infarct", tmp_path / "out")

    rejection = findings(tmp_path / "out")["rejection"]
    assert rejection["code"] == "UNSUITABLE_SERIES"
    assert "divide by 1000" in rejection["message"]
