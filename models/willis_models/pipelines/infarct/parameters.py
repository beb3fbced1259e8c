"""The parameters of the pipeline, read from the manifest: unknown or missing keys raise."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from willis_models.errors import ManifestInvalid
from willis_models.manifest import Manifest
from willis_models.perfusion.parameters import PerfusionParameters
from willis_models.volume import Floats, Grid


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CheckParameters(_Frozen):
    """Limits of the acquisition."""

    min_age_years: float
    min_slices: int


class AlignmentParameters(_Frozen):
    """How a still CT is laid on the perfusion scan, and when it is left out instead."""

    grid_mm: float
    brain_low_hu: float
    brain_high_hu: float
    iterations: int
    step_mm: float
    max_shift_mm: float
    min_similarity: float


class ReadyMapParameters(_Frozen):
    """Which voxels of ready maps are tissue."""

    min_cbf: float
    max_cbv: float
    min_tissue_ml: float


class VolumeInterval(_Frozen):
    """Split conformal interval: ``quantile_sqrt_ml`` is that of |sqrt(true) - sqrt(predicted)|.

    The root makes the residuals of small and large infarcts comparable.
    """

    coverage: float = Field(gt=0, lt=1)
    quantile_sqrt_ml: float = Field(ge=0)
    basis: str


class PredictionParameters(_Frozen):
    """From the network's probability to a mask.

    ``temperature`` divides its logit, ``offset`` is added to that: how much of the brain becomes
    infarct differs between what the network learnt by (overlap) and what is so.
    """

    temperature: float = Field(gt=0)
    offset: float
    min_component_ml: float
    interval: VolumeInterval | None


class InfarctParameters(_Frozen):
    """Everything that changes the answer of this pipeline."""

    check: CheckParameters
    perfusion: PerfusionParameters
    alignment: AlignmentParameters
    ready_maps: ReadyMapParameters
    prediction: PredictionParameters


def parameters_of(manifest: Manifest) -> InfarctParameters:
    """The pipeline's parameters. Raises ManifestInvalid."""
    return _validated(manifest.model_dump_json(include={"parameters"}))


@lru_cache(maxsize=8)
def _validated(document: str) -> InfarctParameters:
    try:
        return _Document.model_validate_json(document).parameters
    except ValidationError as error:
        raise ManifestInvalid(f"Parameters of the infarct pipeline: {error}") from error


class _Document(_Frozen):
    parameters: InfarctParameters


def network_grid(manifest: Manifest, centre_lps: Floats) -> Grid:
    """The lattice of the network's input: the manifest's, moved to the brain's centre."""
    spec = manifest.inputs[0]
    affine = np.array(spec.affine_lps, dtype=np.float64)
    affine[:3, 3] += centre_lps
    return Grid(spec.shape, affine)
