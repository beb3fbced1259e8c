"""What a pipeline found: one versioned JSON document for all pipelines.

Findings carry their evidence, what was not assessable, and the intended-use statement. A rejected
study has a reason and no numbers, and so has one whose analysis failed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from willis_models.codes import MEASUREMENTS, PLAIN_UNITS, UNITS, Code, Laterality

SCHEMA_VERSION: Literal["1.0"] = "1.0"
INTENDED_USE_STATEMENT = (
    "Research use only. Trained largely on simulated images; not validated on patients; "
    "not a medical device; not for diagnosis or treatment selection."
)

NOTHING_FOUND = "No region above threshold; does not exclude stroke."

State = Literal["unaffected", "affected", "indeterminate", "not_assessable"]
Outcome = Literal["pass", "warn", "reject"]
Status = Literal["succeeded", "rejected", "failed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Interval(_Frozen):
    """Where a number may lie: ``coverage`` is the share of cases inside, ``basis`` what says so."""

    low: float
    high: float
    coverage: float
    basis: str


class Measurement(_Frozen):
    """A number with its unit; ``value`` is None where it could not be measured."""

    key: str
    value: float | None
    unit: str
    interval: Interval | None = None

    @model_validator(mode="after")
    def _known(self) -> Measurement:
        if self.key not in MEASUREMENTS or self.unit not in UNITS:
            raise ValueError(f"Measurement {self.key} [{self.unit}] has no declared code.")
        return self

    @property
    def concept(self) -> Code:
        """The coded concept of the measurement."""
        return MEASUREMENTS[self.key]


class QualityItem(_Frozen):
    """One check of the input or of an intermediate step, with its outcome and a stable code."""

    code: str
    outcome: Outcome
    message: str
    value: float | None = None
    unit: str | None = None

    @property
    def measured(self) -> str:
        """The value with its unit as people write it; empty where there is none."""
        if self.value is None:
            return ""
        unit = self.unit or ""
        return f"{self.value:.4g} {PLAIN_UNITS.get(unit, unit)}".rstrip()


class Rejection(_Frozen):
    """Why no numbers are given: the study was rejected, or its analysis failed."""

    code: str
    message: str


class SegmentFinding(_Frozen):
    """One segment of a label map: a structure, its side, its state and the evidence for it.

    ``kind`` says whether it is a part of the body or something abnormal in it.
    """

    number: int = Field(ge=1)
    key: str
    label: str
    structure_value: str
    structure_scheme: str
    structure_meaning: str
    laterality: Laterality | None
    kind: Literal["anatomy", "lesion"] = "anatomy"
    state: State | None = None
    rule_state: State | None = None
    reason: str | None = None
    measurements: tuple[Measurement, ...] = ()

    @property
    def structure(self) -> Code:
        """The coded anatomy."""
        return Code(self.structure_value, self.structure_scheme, self.structure_meaning)

    def measurement(self, key: str) -> Measurement | None:
        """The measurement of this name; None where there is none."""
        return next((m for m in self.measurements if m.key == key), None)

    def value(self, key: str) -> float | None:
        """The measured number of this name, or None where it was not measured."""
        found = self.measurement(key)
        return None if found is None else found.value


class SideScore(_Frozen):
    """The score of one side. ``score`` is None where too little could be assessed."""

    side: Laterality
    score: int | None
    lowest: int | None
    highest: int | None
    affected: tuple[str, ...]
    indeterminate: tuple[str, ...]
    not_assessable: tuple[str, ...]


class SideSelection(_Frozen):
    """Which side the report leads with, and how it was chosen."""

    side: Laterality | None
    how: str


class VesselCurve(_Frozen):
    """Enhancement of an artery or a vein over time, and where it was measured."""

    name: Literal["aif", "vof"]
    position_lps: tuple[float, float, float]
    is_manual: bool
    times_s: tuple[float, ...]
    enhancement_hu: tuple[float, ...]
    measurements: tuple[Measurement, ...] = ()


class MotionTrace(_Frozen):
    """How the head lay in each frame against the reference frame, before correction."""

    times_s: tuple[float, ...]
    translation_mm: tuple[float, ...]
    rotation_deg: tuple[float, ...]
    corrected: tuple[bool, ...]


class Criterion(_Frozen):
    """Volumes of a trial's inclusion rule; never whether a patient is eligible for anything."""

    trial: str
    rule: str
    outcome: Literal["met", "not_met", "not_assessable"]
    why: str


class PerfusionFindings(_Frozen):
    """How perfusion was measured. ``aif``, ``vof`` and ``motion`` are None for ready maps."""

    source: Literal["series", "maps"]
    method: str
    aif: VesselCurve | None = None
    vof: VesselCurve | None = None
    motion: MotionTrace | None = None
    criteria: tuple[Criterion, ...] = ()


class ModelIdentity(_Frozen):
    """Which network gave the answer."""

    name: str
    version: str
    weights_sha256: str
    execution_provider: str


class Amendment(_Frozen):
    """The earlier result that the findings take the place of, and what it said."""

    job_id: str
    status: Status
    scores: tuple[SideScore, ...] = ()
    volumes_ml: dict[str, float] = Field(default_factory=dict)
    """Of what it found abnormal, by the segment's key."""

    @property
    def text(self) -> str:
        """The amendment in words, as it stands in the report."""
        return f"Amended result: it replaces an earlier one, which {self._earlier}."

    @property
    def _earlier(self) -> str:
        if self.status == "failed":
            return "said that the study could not be analysed"
        if self.status == "rejected":
            return "did not analyse the study"
        given = [f"{one.side} {one.score}" for one in self.scores if one.score is not None]
        if given:
            return f"gave the score {', '.join(given)}"
        volumes = [f"{key.replace('_', ' ')} {ml:.1f} mL" for key, ml in self.volumes_ml.items()]
        return f"gave {', '.join(volumes)}" if volumes else "gave no score"


class Findings(_Frozen):
    """The answer of one pipeline for one study."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    pipeline: str
    status: Status
    intended_use: str = INTENDED_USE_STATEMENT
    model: ModelIdentity | None = None
    quality: tuple[QualityItem, ...] = ()
    rejection: Rejection | None = None
    amends: Amendment | None = None
    scores: tuple[SideScore, ...] = ()
    side_selection: SideSelection | None = None
    segments: tuple[SegmentFinding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    perfusion: PerfusionFindings | None = None
    limits: tuple[str, ...] = ()
    timings_s: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _without_numbers_exactly_with_a_reason(self) -> Findings:
        if (self.status == "succeeded") != (self.rejection is None):
            raise ValueError("Findings carry a rejection exactly when the study was not analysed.")
        numbers = (self.segments, self.scores, self.measurements, self.perfusion)
        if self.rejection is not None and any(numbers):
            raise ValueError("A study that was not analysed carries no numbers.")
        return self

    def value(self, key: str) -> float | None:
        """The measurement of the whole study of this name; None where it was not measured."""
        return next((m.value for m in self.measurements if m.key == key), None)

    def segment(self, key: str) -> SegmentFinding:
        """The segment of this key, such as ``left_M1``; KeyError where there is none."""
        found = next((s for s in self.segments if s.key == key), None)
        if found is None:
            raise KeyError(key)
        return found

    def score(self, side: Laterality) -> SideScore | None:
        """The score of one side."""
        return next((s for s in self.scores if s.side == side), None)
