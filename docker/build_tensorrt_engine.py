"""Build the TensorRT engine of a bundle ahead of time, on the machine that will run it.

    python docker/build_tensorrt_engine.py BUNDLE --engines DATA_DIR/engines

Needs an NVIDIA GPU, onnxruntime-gpu and the TensorRT libraries (``pip install tensorrt-cu12``). The
engine is built by ONNX Runtime's own provider, with the options of the service, so what is built
here is what a worker with ``WILLIS_EXECUTION_PROVIDER=TensorrtExecutionProvider`` loads. An engine
that does not give the golden output is removed again.

Research use only; not a medical device.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from willis_models.errors import WillisError
from willis_models.runtime.bundle import Bundle, load_bundle
from willis_models.runtime.session import (
    TENSORRT,
    OnnxPredictor,
    engine_options,
    open_predictor,
    replay_golden,
    runtime_description,
)

WARM_UP, RUNS = 3, 20


def main() -> int:
    """Build, prove, time; 0 when the engine may be used."""
    arguments = _arguments()
    if (lack := what_is_missing()) is not None:
        print(f"No engine can be built here: {lack}", file=sys.stderr)
        return 1
    try:
        bundle = load_bundle(arguments.bundle)
    except WillisError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1
    folder = Path(engine_options(bundle.manifest, arguments.engines)["trt_engine_cache_path"])
    folder.mkdir(parents=True, exist_ok=True)
    return _build(bundle, arguments.engines, folder)


def what_is_missing() -> str | None:
    """What this machine lacks, and how to get it."""
    version, providers = runtime_description()
    if TENSORRT not in providers:
        return (
            f"onnxruntime {version} has no TensorRT provider. Install onnxruntime-gpu in place of "
            "onnxruntime (pip install willis[gpu])."
        )
    if find_spec("tensorrt") is None:
        return "the TensorRT libraries are missing. pip install tensorrt-cu12"
    return None


def _build(bundle: Bundle, engines: Path, folder: Path) -> int:
    start = time.perf_counter()
    try:
        predictor = open_predictor(bundle, TENSORRT, engines=engines)
        worst = replay_golden(bundle, predictor)
    except WillisError as error:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 1
    built_s = time.perf_counter() - start
    manifest = bundle.manifest
    print(f"{manifest.name} {manifest.version} ({manifest.precision}): built in {built_s:.0f} s")
    print(f"golden vectors within {worst:.1e}; one run takes {_run_s(bundle, predictor):.4f} s")
    for path in sorted(folder.iterdir()):
        print(f"  {path} ({path.stat().st_size / 2**20:.1f} MiB)")
    return 0


def _run_s(bundle: Bundle, predictor: OnnxPredictor) -> float:
    """Median seconds of one run of the golden input."""
    image = bundle.golden["input"].astype(np.float32)
    elapsed = []
    for _ in range(WARM_UP + RUNS):
        start = time.perf_counter()
        predictor(image)
        elapsed.append(time.perf_counter() - start)
    return float(np.median(elapsed[WARM_UP:]))


def _arguments() -> argparse.Namespace:
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path, help="folder of the bundle: <pipeline>/<version>")
    parser.add_argument(
        "--engines", type=Path, required=True, help="where engines are kept: DATA_DIR/engines"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
