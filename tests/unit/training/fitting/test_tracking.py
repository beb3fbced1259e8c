"""Curves and pictures: in the run's folder, in TensorBoard, and in MLflow where that is set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.training.fitting.toy_store import (
    SPACING_MM,
    TRAIN,
    VALIDATION,
    toy_case,
    toy_run,
    toy_store,
)
from willis_training.fitting.fit import fit
from willis_training.fitting.lesson import ValidationCase
from willis_training.fitting.pictures import draw_curves, draw_predictions
from willis_training.fitting.result import Validation
from willis_training.fitting.validation import Judged


def test_tensorboard_gets_curves_and_a_picture_for_each_validation_that_improves(
    tmp_path: Path,
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    store = toy_store(tmp_path / "store")
    config = toy_run(tmp_path / "run", tracking={"tensorboard": True, "pictures": 2})

    result = fit(config, TRAIN, VALIDATION, store)

    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    logged = {e.step: e.value for e in events.Scalars("validation/mean_dice")}
    assert logged == pytest.approx({v.step: v.mean_dice for v in result.history}, abs=1e-6)
    assert [e.step for e in events.Scalars("validation/dice/lesion")] == [3, 6]
    assert events.Scalars("training/loss")[0].step == 1
    improved = [line.step for line in result.history if line.is_best]
    assert [e.step for e in events.Images("validation/predictions")] == improved
    drawn = sorted(path.name for path in (tmp_path / "run" / "pictures").iterdir())
    assert drawn == [f"step_{step:07d}.png" for step in improved]
    assert (tmp_path / "run" / "curves.png").exists()


# MLflow asks SQLAlchemy for a loader that is to go.
@pytest.mark.filterwarnings("ignore:The ``noload`` loader:sqlalchemy.exc.SADeprecationWarning")
def test_mlflow_gets_one_run_with_parameters_curves_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    config = toy_run(tmp_path / "run", tracking={"mlflow": uri, "pictures": 1})

    fit(config, TRAIN, VALIDATION, toy_store(tmp_path / "store"))

    client = tracking.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("willis")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["network.kind"] == "unet_se"
    history = client.get_metric_history(run.info.run_id, "validation.mean_dice")
    assert [entry.step for entry in history] == [3, 6]
    assert run.info.status == "FINISHED"
    assert client.list_artifacts(run.info.run_id, "pictures")


def test_a_picture_shows_truth_and_prediction_in_their_colours(tmp_path: Path) -> None:
    case = toy_case(0)
    judged = Judged(
        ValidationCase("case_0", case.image, case.labels, SPACING_MM),
        np.roll(case.labels, 3, axis=2),
    )

    draw_predictions([judged], 10, tmp_path / "page.png")

    with Image.open(tmp_path / "page.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    for colour in ((0x17, 0xBE, 0xCF), (0xFF, 0x7F, 0x0E)):
        assert (np.abs(pixels - np.array(colour)).max(axis=-1) < 12).sum() > 50


def test_curves_are_drawn_where_a_class_is_never_held(tmp_path: Path) -> None:
    history = [
        Validation(step, 1.0 / step, 1e-3, {"lesion": 0.5, "rare": None}, 0.5, True)
        for step in (1, 2)
    ]

    draw_curves(history, tmp_path / "curves.png")

    with Image.open(tmp_path / "curves.png") as image:
        assert image.size[0] > 500
