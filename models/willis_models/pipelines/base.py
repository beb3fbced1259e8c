"""What every pipeline is made of, and the one runner for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import InputError
from willis_models.findings import Findings, ModelIdentity, QualityItem, Rejection
from willis_models.manifest import Manifest
from willis_models.volume import SliceStack

Assets = Mapping[str, NDArray[Any]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Acquisition:
    """How a series was acquired, as far as the checks need it. Holds no patient identifier.

    A field is None where the source does not say. ``source_items`` are quality items that the
    reader found (for example corrected tilt or resampled steps).
    """

    modality: str | None = None
    body_part: str | None = None
    description: str | None = None
    patient_age_years: float | None = None
    kvp: float | None = None
    contrast_agent: str | None = None
    slice_thickness_mm: float | None = None
    kernel: str | None = None
    manufacturer: str | None = None
    scanner_model: str | None = None
    lossy: bool = False
    source_items: tuple[QualityItem, ...] = ()


@dataclass(frozen=True)
class InputImage:
    """One series in its role: native slices and how they were acquired."""

    stack: SliceStack
    acquisition: Acquisition = Acquisition()


Case = Mapping[str, InputImage]
"""The images of one study by role, for example ``{"ncct": image}``."""


@dataclass(frozen=True)
class Role:
    """A series that a pipeline reads."""

    name: str
    modality: str
    title: str
    required: bool = True


@dataclass(frozen=True)
class Prepared:
    """The network's input (channels, z, y, x) float32, and what ``interpret`` needs beside it."""

    network_input: NDArray[np.float32]
    quality: tuple[QualityItem, ...] = ()
    context: Any = None


@dataclass(frozen=True)
class Interpretation:
    """Findings and the label map (z, y, x) uint8 on the native stack of ``reference_role``."""

    findings: Findings
    labels: NDArray[np.uint8]
    reference_role: str


class Predictor(Protocol):
    """A loaded network."""

    @property
    def identity(self) -> ModelIdentity:
        """Which network this is and what it runs on."""
        ...

    def __call__(self, network_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, z, y, x) to class probabilities (classes, z, y, x)."""
        ...


@dataclass(frozen=True)
class Pipeline:
    """A pipeline is a value: its name, the series it reads and three pure functions.

    ``check`` looks at the case before any work is done; ``prepare`` makes the network's input, in
    training and in service alike; ``interpret`` turns the network's output into findings.
    """

    name: str
    title: str
    roles: tuple[Role, ...]
    check: Callable[[Case, Manifest], tuple[QualityItem, ...]]
    prepare: Callable[[Case, Manifest, Assets], Prepared]
    interpret: Callable[[Case, Prepared, NDArray[np.float32], Manifest, Assets], Interpretation]


@dataclass(frozen=True)
class Analysis:
    """What the runner gives back: findings always, labels unless the study was rejected."""

    findings: Findings
    labels: NDArray[np.uint8] | None = None
    reference_role: str | None = None


@dataclass
class _Stopwatch:
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.progress(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)


def _silent(_step: str) -> None:
    return


def analyse(
    pipeline: Pipeline,
    case: Case,
    manifest: Manifest,
    assets: Assets,
    predictor: Predictor,
    progress: Progress = _silent,
) -> Analysis:
    """Run one pipeline on one case: check, prepare, predict, interpret.

    An input that can't be analysed gives findings with status ``rejected`` and a reason; any other
    error leaves as it is. ``progress`` is called with the name of each step as it starts.
    """
    watch = _Stopwatch(progress)
    quality: tuple[QualityItem, ...] = ()
    try:
        with watch.step("check"):
            quality = pipeline.check(case, manifest)
            raise_first_reject(quality)
        with watch.step("prepare"):
            prepared = pipeline.prepare(case, manifest, assets)
            quality += prepared.quality
            raise_first_reject(quality)
        with watch.step("predict"):
            output = predictor(prepared.network_input)
        with watch.step("interpret"):
            result = pipeline.interpret(case, prepared, output, manifest, assets)
    except InputError as error:
        return Analysis(_rejected(pipeline, manifest, predictor, quality, error, watch.seconds))
    findings = result.findings.model_copy(
        update={
            "model": predictor.identity,
            "quality": quality + result.findings.quality,
            "limits": manifest.limits,
            "timings_s": watch.seconds,
        }
    )
    return Analysis(findings, result.labels, result.reference_role)


class _RejectedByCheck(InputError):
    """Carries the code of the quality item that rejected the case."""

    def __init__(self, item: QualityItem) -> None:
        super().__init__(item.message)
        self.item = item


def raise_first_reject(quality: tuple[QualityItem, ...]) -> None:
    """Raise an InputError for the first item whose outcome is ``reject``."""
    rejected = next((item for item in quality if item.outcome == "reject"), None)
    if rejected is not None:
        raise _RejectedByCheck(rejected)


def _rejected(
    pipeline: Pipeline,
    manifest: Manifest,
    predictor: Predictor,
    quality: tuple[QualityItem, ...],
    error: InputError,
    seconds: dict[str, float],
) -> Findings:
    if isinstance(error, _RejectedByCheck):
        code = error.item.code
    else:
        code = error.code
        quality = (*quality, QualityItem(code=code, outcome="reject", message=error.message))
    return Findings(
        pipeline=pipeline.name,
        status="rejected",
        model=predictor.identity,
        quality=quality,
        rejection=Rejection(code=code, message=error.message),
        limits=manifest.limits,
        timings_s=seconds,
    )
