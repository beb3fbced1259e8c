"""ONNX Runtime sessions: one provider asked for, the same one running, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from willis_models.errors import BundleError, GoldenMismatch
from willis_models.findings import ModelIdentity
from willis_models.manifest import Manifest
from willis_models.runtime.bundle import Bundle

CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
GOLDEN_TOLERANCE = 2e-3
GOLDEN_STRIDE = 4


@dataclass(frozen=True)
class OnnxPredictor:
    """A network loaded on one execution provider."""

    session: Any
    identity: ModelIdentity

    def __call__(self, network_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, z, y, x) to class probabilities (classes, z, y, x)."""
        (output,) = self.session.run(None, {"image": network_input[None]})
        return np.asarray(output[0], dtype=np.float32)


def runtime_description() -> tuple[str, tuple[str, ...]]:
    """The version of ONNX Runtime and the execution providers that it has here."""
    return ort.__version__, tuple(ort.get_available_providers())


def open_session(
    model: Path,
    provider: str = CPU,
    threads: int = 0,
    provider_options: Mapping[str, str] | None = None,
) -> Any:
    """Load an ONNX file on ``provider``; ``threads`` 0 uses every core.

    Raises BundleError where the provider is not what runs: a GPU that silently became a CPU
    would break every promise on time (onnxruntime issues 17801, 23372).
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if provider not in ort.get_available_providers():
        raise BundleError(f"{provider} is not available here: install the matching extra.")
    given = dict(provider_options or {})
    session = ort.InferenceSession(str(model), options, providers=[(provider, given)])
    running = session.get_providers()[0]
    if running != provider:
        raise BundleError(f"Asked for {provider}, but {running} is what runs.")
    return session


def engine_options(manifest: Manifest, engines: Path) -> Mapping[str, str]:
    """Options of TensorRT: engines are kept for the next start, for each network apart.

    ONNX Runtime puts the GPU and the version of TensorRT into an engine's name itself (R23).
    """
    folder = engines / manifest.weights_sha256[:16]
    return {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": "1" if manifest.precision == "fp16" else "0",
    }


def open_predictor(
    bundle: Bundle, provider: str = CPU, threads: int = 0, engines: Path | None = None
) -> OnnxPredictor:
    """Load the bundle's network on ``provider``. Raises BundleError as ``open_session`` does.

    TensorRT keeps what it builds in ``engines``; without it each start builds anew, for minutes.
    """
    manifest = bundle.manifest
    options = None
    if provider == TENSORRT and engines is not None:
        options = engine_options(manifest, engines)
    session = open_session(bundle.model_path, provider, threads, options)
    identity = ModelIdentity(
        name=manifest.name,
        version=manifest.version,
        weights_sha256=manifest.weights_sha256,
        execution_provider=session.get_providers()[0],
    )
    return OnnxPredictor(session, identity)


def replay_golden(bundle: Bundle, predictor: OnnxPredictor) -> float:
    """Largest difference from the golden output. Raises GoldenMismatch above the tolerance."""
    output = sparse(predictor(bundle.golden["input"].astype(np.float32)))
    worst = float(np.abs(output - bundle.golden["output"]).max())
    if not worst <= GOLDEN_TOLERANCE:
        raise GoldenMismatch(
            f"{bundle.manifest.name} {bundle.manifest.version} differs from its golden vectors by "
            f"{worst:.2g} (limit {GOLDEN_TOLERANCE:g}) on {predictor.identity.execution_provider}."
        )
    return worst


def sparse(output: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every fourth voxel along each axis: what golden vectors keep of an output (c, z, y, x)."""
    return output[:, ::GOLDEN_STRIDE, ::GOLDEN_STRIDE, ::GOLDEN_STRIDE]
