"""The parameters of the pipeline, read from the manifest: unknown or missing keys raise."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from willis_models.errors import ManifestInvalid
from willis_models.imaging.brain import BrainLimits
from willis_models.imaging.register import RegistrationPlan
from willis_models.imaging.resample import lps_grid
from willis_models.manifest import Manifest
from willis_models.volume import Grid


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BrainParameters(_Frozen):
    """See ``imaging.brain.BrainLimits``."""

    low_hu: float
    high_hu: float
    bone_hu: float
    opening_mm: float
    min_volume_ml: float
    max_volume_ml: float
    min_extent_mm: tuple[float, float, float]
    min_component_share: float

    def limits(self) -> BrainLimits:
        """The same values for the array functions."""
        return BrainLimits(**self.model_dump())


class RegistrationParameters(_Frozen):
    """Coarse grid, optimiser, and the limits of a usable alignment."""

    grid_spacing_mm: float
    shrink_factors: tuple[int, ...]
    iterations: int
    step_mm: float
    pitches_deg: tuple[float, ...]
    template_spacing_mm: float
    template_origin_lps: tuple[float, float, float]
    template_margin_mm: float
    min_similarity: float
    warn_similarity: float
    warn_symmetry: float
    max_roll_deg: float

    def plan(self) -> RegistrationPlan:
        """The optimiser's part."""
        return RegistrationPlan(
            self.shrink_factors, self.iterations, self.step_mm, self.pitches_deg
        )


class CheckParameters(_Frozen):
    """Limits of the acquisition."""

    min_age_years: float
    min_kvp: float
    max_kvp: float
    max_slice_thickness_mm: float
    min_slices: int


class TissueParameters(_Frozen):
    """Which voxels of a region count, in HU on the network's grid."""

    csf_below_hu: float
    calcification_above_hu: float
    old_infarct_below_hu: float
    old_infarct_min_ml: float
    old_infarct_max_share: float
    haemorrhage_above_hu: float
    haemorrhage_min_ml: float
    metal_above_hu: float
    metal_max_share: float
    smoothing_mm: float
    min_counted_share: float
    min_counted_ml: float
    min_covered_share: float


class RuleParameters(_Frozen):
    """The deterministic rule: ratio at or below, or difference at or above (Mokin)."""

    max_ratio: float
    min_difference_hu: float


class RegionClassifier(_Frozen):
    """Logistic regression of one region: standardised features times weights plus bias."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    bias: float
    affected_above: float
    indeterminate_above: float


class StateParameters(_Frozen):
    """Classifiers by region name, and what a side must show before any region counts."""

    features: tuple[str, ...]
    regions: dict[str, RegionClassifier]
    study_threshold: float
    max_not_assessable: int


class AspectsParameters(_Frozen):
    """Everything that changes the answer of this pipeline."""

    check: CheckParameters
    brain: BrainParameters
    registration: RegistrationParameters
    tissue: TissueParameters
    rule: RuleParameters
    states: StateParameters

    def template_grid(self, shape: tuple[int, int, int]) -> Grid:
        """The template's lattice in MNI space."""
        return lps_grid(
            shape, self.registration.template_spacing_mm, self.registration.template_origin_lps
        )


def parameters_of(manifest: Manifest) -> AspectsParameters:
    """The pipeline's parameters. Raises ManifestInvalid."""
    return _validated(manifest.model_dump_json(include={"parameters"}))


@lru_cache(maxsize=8)
def _validated(document: str) -> AspectsParameters:
    try:
        return _Document.model_validate_json(document).parameters
    except ValidationError as error:
        raise ManifestInvalid(f"Parameters of the aspects pipeline: {error}") from error


class _Document(_Frozen):
    parameters: AspectsParameters


def network_grid(manifest: Manifest) -> Grid:
    """The lattice of the network's input in MNI space."""
    spec = manifest.inputs[0]
    affine: Any = spec.affine_lps
    return Grid(spec.shape, affine)
