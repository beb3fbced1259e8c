"""The manifest of a model bundle: everything that changes a result, frozen and versioned.

An unknown or a missing key raises; no preprocessing value lives anywhere else.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from willis_models.codes import Laterality
from willis_models.errors import ManifestInvalid


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IntensityTransform(_Frozen):
    """Clip to [low, high] in the input's unit, then scale that range to [0, 1]."""

    low: float
    high: float


class NetworkInput(_Frozen):
    """One input channel group: what the network sees, on which grid."""

    role: str
    unit: str
    shape: tuple[int, int, int]
    affine_lps: tuple[tuple[float, float, float, float], ...]
    intensity: IntensityTransform


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
