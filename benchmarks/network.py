"""The region network on three runtimes, with the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import in_fresh_process, peak_mb
from benchmarks.page import Section, Table, seconds
from benchmarks.places import Places
from willis_models.runtime.bundle import latest_bundle

TITLE = "The region network"
THREADS, WARM_UP, RUNS = 2, 2, 9
Floats = NDArray[np.float32]
Run = Callable[[Floats], Floats]


@dataclass(frozen=True)
class _Timing:
    runtime: str
    median_s: float
    fastest_s: float
    peak_mb: float
    output: Floats


def measure(_places: Places) -> Section:
    """Median of several runs of each runtime, each in a fresh process."""
    bundle = latest_bundle("aspects")
    timings = [in_fresh_process(time_runtime, name) for name in RUNTIMES]
    shape = " x ".join(map(str, bundle.manifest.inputs[0].shape))
    text = (
        f"`{bundle.manifest.name}` {bundle.manifest.version}, input {shape}, {THREADS} threads, "
        f"median of {RUNS} runs after {WARM_UP} that do not count, each runtime in a process of "
        "its own with the bundle's weights. OpenVINO is held to f32 by INFERENCE_PRECISION_HINT: "
        "left alone it may run bf16. Difference: the largest of any probability from ONNX "
        "Runtime's."
    )
    return Section(TITLE, text, [_table(timings)])


def time_runtime(name: str) -> _Timing:
    """Load a runtime here and time it."""
    bundle = latest_bundle("aspects")
    image: Floats = bundle.golden["input"].astype(np.float32)[None]
    run = RUNTIMES[name](bundle.model_path)
    for _ in range(WARM_UP):
        output = run(image)
    elapsed = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run(image)
        elapsed.append(time.perf_counter() - start)
    return _Timing(name, statistics.median(elapsed), min(elapsed), peak_mb(), output)


def _onnxruntime(model: Path) -> Run:
    from willis_models.runtime.session import open_session

    session = open_session(model, threads=THREADS)
    return lambda image: np.asarray(session.run(None, {"image": image})[0])


def _openvino(model: Path) -> Run:
    import openvino

    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(str(model), "CPU", options)
    return lambda image: np.array(compiled(image)[0])


def _torch(model: Path) -> Run:
    import torch

    torch.set_num_threads(THREADS)
    network = _torch_network(model).eval()

    def run(image: Floats) -> Floats:
        with torch.inference_mode():
            found: Floats = network(torch.from_numpy(image)).numpy()
        return found

    return run


def _torch_network(model: Path) -> Any:
    """The network that was exported, its weights taken back from the ONNX file."""
    import onnx
    import torch
    from onnx import numpy_helper

    from willis_training.networks.unet import BothSides, RegionUNet, UNetShape

    stored = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(str(model)).graph.initializer
    }
    first = "hemisphere.encoder.{}.body.0.weight"
    widths: list[int] = []
    while (name := first.format(len(widths))) in stored:
        widths.append(stored[name].shape[0])
    classes = stored["hemisphere.head.weight"].shape[0]
    network = BothSides(RegionUNet(UNetShape(1, classes, tuple(widths))))
    network.load_state_dict({name: stored[name] for name in network.state_dict()})
    return network


RUNTIMES: dict[str, Callable[[Path], Run]] = {
    "ONNX Runtime": _onnxruntime,
    "torch eager": _torch,
    "OpenVINO f32": _openvino,
}


def _table(timings: list[_Timing]) -> Table:
    ours = timings[0]
    rows = [
        [
            one.runtime,
            seconds(one.median_s),
            seconds(one.fastest_s),
            f"{one.median_s / ours.median_s:.2f}",
            f"{one.peak_mb:.0f}",
            f"{np.abs(one.output - ours.output).max():.0e}",
        ]
        for one in timings
    ]
    columns = ["runtime", "median s", "fastest s", "x ONNX Runtime", "peak MB", "difference"]
    return Table(columns, rows)
