"""The same file on OpenVINO: does it give the same, and how fast?

OpenVINO may run bf16 on CPUs that have it unless it is told otherwise, so it is held to f32.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis_training.export.parity import Floats, Parity, Run, compare_runs, onnx_run


@dataclass(frozen=True)
class RuntimeCheck:
    """Parity with ONNX Runtime and the median time of one run on each, same threads."""

    parity: Parity
    onnxruntime_s: float
    openvino_s: float


def check_openvino(
    model: Path, images: Sequence[Floats], threads: int = 1, runs: int = 5
) -> RuntimeCheck:
    """Run images (c, z, y, x) on both. The parity is reported, not judged."""
    ours, theirs = onnx_run(model, threads), openvino_run(model, threads)
    parity = compare_runs(ours, theirs, images)
    return RuntimeCheck(
        parity, _median_s(ours, images[0], runs), _median_s(theirs, images[0], runs)
    )


def openvino_run(model: Path, threads: int = 1) -> Run:
    """An ONNX file on OpenVINO's CPU device in single precision."""
    import openvino

    options = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(str(model), "CPU", options)
    return lambda image: np.array(compiled(image[None])[0][0])


def _median_s(run: Run, image: Floats, runs: int) -> float:
    run(image)  # the first one plans its memory
    elapsed = []
    for _ in range(runs):
        start = time.perf_counter()
        run(image)
        elapsed.append(time.perf_counter() - start)
    return statistics.median(elapsed)
