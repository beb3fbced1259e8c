"""The manifest of a model bundle: everything that changes a result, frozen and versioned.

An unknown or a missing key raises; no preprocessing value lives anywhere else.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from willis_models.codes import Laterality
from willis_models.errors import ManifestInvalid


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IntensityTransform(_Frozen):
    """Clip to [low, high] in the input's unit, then scale.

    With ``mean`` and ``sd`` by z-score, (value - mean) / sd; without, that range to [0, 1].
    """

    low: float
    high: float
    mean: float | None = None
    sd: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _mean_and_sd_come_together(self) -> IntensityTransform:
        if (self.mean is None) != (self.sd is None):
            raise ValueError("A z-score needs both a mean and a standard deviation.")
        return self


class NetworkInput(_Frozen):
    """One input channel group: what the network sees, on which grid."""

    role: str
    unit: str
    shape: tuple[int, int, int]
    affine_lps: tuple[tuple[float, float, float, float], ...]
    intensity: IntensityTransform
    required: bool = True
    """Whether the network needs it; one that may be missing has a channel that says so."""


class OutputLabel(_Frozen):
    """One value of the label map and what it stands for."""

    value: int = Field(ge=1)
    key: str
    label: str
    structure: tuple[str, str, str]
    laterality: Laterality | None


class LearntFrom(_Frozen):
    """A source that the weights learnt from, with its licence."""

    name: str
    licence: str
    source: str


class Threshold(_Frozen):
    """A decision threshold and how it was chosen."""

    value: float
    chosen: str


class Provenance(_Frozen):
    """Where a version comes from: the commit of the training code, and what it learnt from."""

    commit: str | None
    data_sha256: str | None


class Figure(_Frozen):
    """One number of a judgement, such as a mean Dice."""

    name: str
    value: float
    higher_is_better: bool = True

    def is_worse_than(self, other: Figure) -> bool:
        """Whether it lies on the wrong side of another value of the same figure."""
        return self.value < other.value if self.higher_is_better else self.value > other.value


class Judgement(_Frozen):
    """What the version reached on a frozen test set; versions are compared by it."""

    test_set_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    cases: int = Field(ge=1)
    figures: tuple[Figure, ...] = Field(min_length=1)

    def figure(self, name: str) -> Figure | None:
        """The figure of this name."""
        return next((one for one in self.figures if one.name == name), None)


class AcceptedWorse(_Frozen):
    """That the version was published although it could not be shown to be as good as ``than``."""

    than: str
    why_worse: str
    reason: str


class Manifest(_Frozen):
    """The contract of one version of one model."""

    schema_version: Literal["1.0"]
    name: str
    version: str
    pipeline: str
    created: str
    inputs: tuple[NetworkInput, ...]
    outputs: tuple[OutputLabel, ...]
    parameters: dict[str, Any]
    thresholds: dict[str, Threshold]
    files_sha256: dict[str, str]
    learnt_from: tuple[LearntFrom, ...]
    training: dict[str, Any]
    evaluation: dict[str, Any]
    limits: tuple[str, ...]
    precision: Literal["fp32", "fp16"] = "fp32"
    """Of the network's weights; its inputs and outputs are single precision always."""
    provenance: Provenance | None = None
    judgement: Judgement | None = None
    accepted_worse: AcceptedWorse | None = None

    @property
    def weights_sha256(self) -> str:
        """Digest of the network's file: the model's identity in every result."""
        return self.files_sha256["model.onnx"]


def read_manifest(path: Path) -> Manifest:
    """Read and validate ``manifest.json``. Raises ManifestInvalid."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestInvalid(f"No readable manifest at {path}: {error.strerror}.") from error
    except ValidationError as error:
        raise ManifestInvalid(f"{path}: {error}") from error


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
