"""Small cases of the infarct pipeline: the block phantom as a raw series, or as ready maps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from tests.infarct_bundle import answer, tmax_weights
from tests.unit.models.perfusion.block_phantom import TISSUES, Phantom, frame_times, make_phantom
from willis_models.codes import MAP_UNITS
from willis_models.findings import ModelIdentity
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    Acquisition,
    Analysis,
    InputImage,
    Request,
    analyse,
)
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_models.volume import DynamicStack
from willis_training.infarct.contract import draft_manifest

PATIENT = Acquisition(modality="CT", body_part="HEAD", patient_age_years=71.0, kvp=80.0)


class LatePredictor:
    """Says that whatever is later than 6 s becomes infarct."""

    identity = ModelIdentity(
        name="infarct",
        version="0.0.1",
        weights_sha256="0" * 64,
        execution_provider="CPUExecutionProvider",
    )

    def __call__(self, network_input: np.ndarray) -> np.ndarray:
        return answer(network_input, tmax_weights(draft_manifest()))


@cache
def phantom(pixels: int = 96) -> Phantom:
    return make_phantom(frame_times(1.5, 66.0, 6), pixels=pixels, step_mm=10.0)


def raw_case(**changes: Any) -> dict[str, InputImage]:
    """The phantom's series; its lesion lies on the patient's left."""
    series = phantom().dynamic
    return {"ctp": InputImage(series.mean, Acquisition(**{**vars(PATIENT), **changes}), series)}


def mirrored(series: DynamicStack) -> DynamicStack:
    """The same head with its lesion on the other side: the voxels turned, the geometry kept."""
    frames = np.ascontiguousarray(series.frames[..., ::-1])
    return DynamicStack(
        frames, series.times_s, series.origins_lps, series.row_step_lps, series.column_step_lps
    )


def stored_from_left_to_right(series: DynamicStack) -> DynamicStack:
    """The same head, unmoved, with columns and slices stored the other way round."""
    count = series.frames.shape[-1]
    origins = series.origins_lps[::-1] + series.row_step_lps * (count - 1)
    frames = np.ascontiguousarray(series.frames[:, ::-1, :, ::-1])
    times_s = np.ascontiguousarray(series.times_s[:, ::-1])
    return DynamicStack(frames, times_s, origins, -series.row_step_lps, series.column_step_lps)


def case_of(series: DynamicStack) -> dict[str, InputImage]:
    return {"ctp": InputImage(series.mean, PATIENT, series)}


def map_case() -> dict[str, InputImage]:
    """True maps of the phantom, as another software would send them."""
    found = phantom()
    still = found.dynamic.mean
    images = {}
    for role in ("cbf", "cbv", "mtt", "tmax"):
        values = np.zeros(still.shape, np.float32)
        for name, tissue in TISSUES.items():
            true = {"cbf": tissue.cbf, "cbv": tissue.cbv, "mtt": tissue.mtt_s}
            values[found.where(name)] = {**true, "tmax": tissue.delay_s}[role]
        images[role] = InputImage(still.with_voxels(values), PATIENT, unit=MAP_UNITS[role])
    return images


def run(
    case: Mapping[str, InputImage], request: Request | None = None, manifest: Manifest | None = None
) -> Analysis:
    return analyse(
        INFARCT, case, manifest or draft_manifest(), {}, LatePredictor(), request or Request()
    )
