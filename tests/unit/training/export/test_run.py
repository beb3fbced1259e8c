"""From a run's folder to a file behind the gate, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from willis_training.cli import app
from willis_training.export.parity import ExportDrift, onnx_run, read_parity, torch_run
from willis_training.export.run import ExportedRun, export_run, load_run
from willis_training.fitting.config import RunConfig, write_config
from willis_training.fitting.result import FitResult, Rates, write_result
from willis_training.fitting.samples import CaseStore, PreparedCase, StoreIndex, write_case
from willis_training.networks.build import NetworkConfig, build_network

# torch 2.13 walks over its own deprecated class while it exports.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")
PATCH = (8, 8, 16)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> CaseStore:
    folder = tmp_path_factory.mktemp("store")
    source, entries = np.random.default_rng(0), {}
    for name, shape in (("a", (10, 9, 20)), ("b", (6, 8, 16))):
        image = source.random((1, *shape), dtype=np.float32)
        case = PreparedCase(image, np.zeros(shape, np.uint8), (1.0, 1.0, 1.0))
        entries[name] = write_case(case, name, folder, key=name)
    (folder / "index.json").write_text(StoreIndex(cases=entries).model_dump_json())
    return CaseStore(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, store: CaseStore) -> Path:
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    network = NetworkConfig(classes=3, patch=PATCH, widths=(4, 8), gradient_checkpointing=True)
    config = RunConfig(folder=folder, network=network, data={"store": store.folder})
    write_config(config, folder / "run.yaml")
    plain = network.model_copy(update={"gradient_checkpointing": False})
    torch.save(build_network(plain).state_dict(), folder / "best.pt")
    write_result(
        FitResult(
            folder=folder,
            best_weights=folder / "best.pt",
            best_dice=0.5,
            steps=1,
            seconds=1.0,
            history=(),
            rates=Rates(1.0, 1.0, 0.0),
            stopped_early=False,
            data_digest="d" * 64,
            weights_sha256="e" * 64,
            device="cpu",
            processes=1,
        )
    )
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, store: CaseStore, tmp_path_factory: pytest.TempPathFactory) -> ExportedRun:
    return export_run(run, tmp_path_factory.mktemp("draft"), store, ("a", "b"))


def test_the_exported_file_gives_probabilities_of_the_best_weights(
    run: Path, exported: ExportedRun
) -> None:
    _, network = load_run(run)
    image = np.random.default_rng(1).random((1, *PATCH), dtype=np.float32)
    path = exported.report.path
    found = onnx_run(path)(image)
    assert found == pytest.approx(torch_run(network)(image), abs=1e-5)
    assert found.sum(axis=0) == pytest.approx(np.ones(PATCH), abs=1e-5)
    assert read_parity(path.with_name("parity.json")) == exported.parity


def test_the_golden_input_is_the_middle_of_a_case_in_the_runs_patch(
    store: CaseStore, exported: ExportedRun
) -> None:
    with np.load(exported.report.path.with_name("golden.npz")) as golden:
        found = golden["input"]
    middle = store.read("a").image[:, 1:9, 0:8, 2:18]
    assert found.shape == (1, *PATCH)
    assert found == pytest.approx(middle, abs=1e-3)


def test_a_file_for_any_size_is_proved_on_whole_cases(
    run: Path, store: CaseStore, tmp_path: Path
) -> None:
    done = export_run(run, tmp_path, store, ("a", "b"), any_size=True)

    assert done.report.shape == (1, 1, "z", "y", "x")
    assert [image.shape for image in done.images] == [(1, 10, 10, 20), (1, 6, 8, 16)]


def test_a_network_that_drifts_leaves_no_model(
    run: Path,
    store: CaseStore,
    exported: ExportedRun,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def with_other_weights(_network: object, _example: object, path: Path, _axes: object) -> object:
        model = onnx.load(exported.report.path)
        bias = next(t for t in model.graph.initializer if t.name.endswith("head.bias"))
        shifted = onnx.numpy_helper.to_array(bias) + np.float32([0.0, 0.5, 0.0])
        bias.CopyFrom(onnx.numpy_helper.from_array(shifted, bias.name))
        onnx.save(model, path)
        return exported.report

    monkeypatch.setattr("willis_training.export.run.export_onnx", with_other_weights)

    with pytest.raises(ExportDrift):
        export_run(run, tmp_path, store, ("a",))
    assert list(tmp_path.iterdir()) == []


def test_the_command_reports_the_gate_the_variant_and_openvino(run: Path, tmp_path: Path) -> None:
    command = ["export", str(run), str(tmp_path / "draft"), "--half", "--openvino"]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 0, result.output
    assert "passed" in result.output and "OpenVINO" in result.output
    assert json.loads((tmp_path / "draft" / "parity.json").read_text())["lowest_dice"] >= 0.999


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["export", str(tmp_path), str(tmp_path / "draft")])

    assert result.exit_code == 1
    assert not (tmp_path / "draft").exists()
