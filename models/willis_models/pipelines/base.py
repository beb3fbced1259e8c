"""What every pipeline is made of, and the one runner for all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from willis_models.errors import BadOption, InputError
from willis_models.findings import Findings, ModelIdentity, QualityItem, Rejection
from willis_models.manifest import Manifest
from willis_models.volume import DynamicStack, SliceStack

Assets = Mapping[str, NDArray[Any]]
Progress = Callable[[str], None]


def _silent(_step: str) -> None:
    return


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
    """One series in its role: native slices and how they were acquired.

    A series in time has ``dynamic``, and ``stack`` is its mean. ``unit`` is the UCUM unit of the
    voxels of a parametric map; None where the modality says it (HU for CT) or nothing does.
    """

    stack: SliceStack
    acquisition: Acquisition = Acquisition()
    dynamic: DynamicStack | None = None
    unit: str | None = None


Case = Mapping[str, InputImage]
"""The images of one study by role, for example ``{"ncct": image}``."""

RoleKind = Literal["volume", "dynamic", "map"]


@dataclass(frozen=True)
class Role:
    """A series that a pipeline reads: one volume, a series in time, or a parametric map.

    ``required`` is for pipelines that always need the same roles; see ``Pipeline.needs``.
    """

    name: str
    modality: str
    title: str
    required: bool = True
    kind: RoleKind = "volume"


@dataclass(frozen=True)
class Request:
    """What the caller asks for beside the images, and who is told of the steps.

    ``options`` are the pipeline's own, such as the place of an arterial input; a pipeline refuses
    one that it does not know (``options_of`` of the pipeline).
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = _silent


NOTHING_ASKED = Request()


@dataclass(frozen=True)
class Prepared:
    """The network's input (channels, z, y, x) float32, and what ``interpret`` needs beside it."""

    network_input: NDArray[np.float32]
    quality: tuple[QualityItem, ...] = ()
    context: Any = None


@dataclass(frozen=True)
class ResultMap:
    """A parametric map (z, y, x) float32 on the native stack; NaN where it says nothing.

    ``unit`` is a key of ``codes.UNITS``, ``key`` one of ``codes.MAPS``. ``is_own`` is False for a
    map that was sent: it is shown, and not sent back.
    """

    key: str
    values: NDArray[np.float32]
    unit: str
    is_own: bool = True


@dataclass(frozen=True)
class Interpretation:
    """Findings, and what lies on the native stack of ``reference_role``.

    ``labels`` (z, y, x) uint8 holds the segments that exclude each other; ``overlays`` are more
    label maps, for segments that may lie over these. Segment numbers are unique over all.
    """

    findings: Findings
    labels: NDArray[np.uint8]
    reference_role: str
    overlays: tuple[NDArray[np.uint8], ...] = ()
    maps: tuple[ResultMap, ...] = ()


class Predictor(Protocol):
    """A loaded network."""

    @property
    def identity(self) -> ModelIdentity:
        """Which network this is and what it runs on."""
        ...

    def __call__(self, network_input: NDArray[np.float32]) -> NDArray[np.float32]:
        """(channels, z, y, x) to class probabilities (classes, z, y, x)."""
        ...


def no_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """For a pipeline without options. Raises BadOption for any."""
    if options:
        raise BadOption(f"This pipeline takes no options; {', '.join(sorted(options))} was given.")
    return options


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
    prepare: Callable[[Case, Manifest, Assets, Request], Prepared]
    interpret: Callable[[Case, Prepared, NDArray[np.float32], Manifest, Assets], Interpretation]
    needs: tuple[frozenset[str], ...] = ()
    """Sets of roles that each suffice, the preferred one first; none given: the required ones."""
    options_of: Callable[[Mapping[str, Any]], Mapping[str, Any]] = no_options
    """The options as ``prepare`` takes them. Raises BadOption for one that does not fit."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Options that are a place, LPS mm (x, y, z), and the role in whose images each one lies."""

    @property
    def sufficient(self) -> tuple[frozenset[str], ...]:
        """Sets of roles with which the pipeline can run."""
        return self.needs or (frozenset(role.name for role in self.roles if role.required),)

    def suffices(self, roles: Collection[str]) -> bool:
        """Whether the pipeline can run with these roles."""
        return any(need <= set(roles) for need in self.sufficient)


@dataclass(frozen=True)
class Analysis:
    """What the runner gives back: findings always, images unless the study was rejected.

    What lies on the images is that of ``Interpretation``.
    """

    findings: Findings
    labels: NDArray[np.uint8] | None = None
    reference_role: str | None = None
    overlays: tuple[NDArray[np.uint8], ...] = ()
    maps: tuple[ResultMap, ...] = ()


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


def analyse(
    pipeline: Pipeline,
    case: Case,
    manifest: Manifest,
    assets: Assets,
    predictor: Predictor,
    request: Request = NOTHING_ASKED,
) -> Analysis:
    """Run one pipeline on one case: check, prepare, predict, interpret.

    An input that can't be analysed gives findings with status ``rejected`` and a reason; any other
    error leaves as it is. The request's ``progress`` is called with the name of each step as it
    starts, those within ``prepare`` as ``prepare: motion``.
    """
    watch = _Stopwatch(request.progress)
    quality: tuple[QualityItem, ...] = ()
    try:
        with watch.step("check"):
            quality = pipeline.check(case, manifest)
            raise_first_reject(quality)
        with watch.step("prepare"):
            within = replace(request, progress=lambda step: request.progress(f"prepare: {step}"))
            prepared = pipeline.prepare(case, manifest, assets, within)
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
    return Analysis(findings, result.labels, result.reference_role, result.overlays, result.maps)


class _RejectedByCheck(InputError):
    """Has the code of the first quality item that rejected the case, and names the others."""

    def __init__(self, rejected: Sequence[QualityItem]) -> None:
        first, *others = rejected
        measured = f"Measured: {first.measured}." if first.measured else ""
        also = f"Also rejected: {', '.join(item.code for item in others)}." if others else ""
        super().__init__(" ".join(part for part in (first.message, measured, also) if part))
        self.code = first.code


def raise_first_reject(quality: tuple[QualityItem, ...]) -> None:
    """Raise an InputError with the code of the first item whose outcome is ``reject``."""
    if rejected := [item for item in quality if item.outcome == "reject"]:
        raise _RejectedByCheck(rejected)


def _rejected(
    pipeline: Pipeline,
    manifest: Manifest,
    predictor: Predictor,
    quality: tuple[QualityItem, ...],
    error: InputError,
    seconds: dict[str, float],
) -> Findings:
    if not isinstance(error, _RejectedByCheck):
        item = QualityItem(code=error.code, outcome="reject", message=error.message)
        quality = (*quality, item)
    return Findings(
        pipeline=pipeline.name,
        status="rejected",
        model=predictor.identity,
        quality=quality,
        rejection=Rejection(code=error.code, message=error.message),
        limits=manifest.limits,
        timings_s=seconds,
    )
