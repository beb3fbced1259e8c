"""Cases to judge the infarct network on: simulated from test heads, or read from a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from willis_models.pipelines.base import Case
from willis_models.volume import SliceStack
from willis_training.datasets.base import Subject
from willis_training.datasets.isles24.images import load_case
from willis_training.infarct.simulated import SimulatedCase

FAST_S, THIN_MM = 2.0, 5.0
NO_CENTRE = "not known"


@dataclass(frozen=True)
class EvaluationCase:
    """Images by role, and the true infarct (z, y, x) on the slices of ``stack``.

    ``group``: cases of one group (a head, a person) are alike. ``centre``: where it was scanned, or
    on which kind of simulated scanner.
    """

    case_id: str
    group: str
    centre: str
    images: Case
    infarct: NDArray[Any]
    stack: SliceStack
    facts: Mapping[str, float | str] = field(default_factory=dict)


def of_simulated(case: SimulatedCase) -> EvaluationCase:
    """A simulated study as a case to judge."""
    settings = case.study.settings
    numbers = {k: float(v) for k, v in settings.items() if isinstance(v, (int, float, bool))}
    return EvaluationCase(
        case_id=case.name,
        group=case.head,
        centre=scanner_kind(
            shuttle=bool(settings["shuttle"]),
            dt_s=float(settings["dt_s"]),
            thickness_mm=float(settings["thickness_mm"]),
        ),
        images=case.images,
        infarct=case.study.truth.final_infarct,
        stack=case.study.dynamic.mean,
        facts={**numbers, "lesion": case.lesion},
    )


def scanner_kind(*, shuttle: bool, dt_s: float, thickness_mm: float) -> str:
    """What stands for a centre in simulation: how the scanner samples time and space."""
    if shuttle:
        return "shuttle mode"
    time = "every 1 to 2 s" if dt_s <= FAST_S else "every 2 to 3 s"
    return f"{time}, {'4 to 5' if thickness_mm <= THIN_MM else '6 to 10'} mm slices"


def of_subject(subject: Subject) -> EvaluationCase:
    """A case of a data set with maps, such as ISLES'24. Raises InputError for a faulty one."""
    images, infarct = load_case(subject)
    return EvaluationCase(
        case_id=subject.subject_id,
        group=subject.person_id,
        centre=subject.site or NO_CENTRE,
        images=images,
        infarct=infarct,
        stack=next(iter(images.values())).stack,
        facts=dict(subject.facts),
    )


def spacing_of(stack: SliceStack) -> tuple[float, float, float]:
    """Voxel size (z, y, x) in mm; z is the mean distance of the slices along their normal."""
    return float(np.mean(stack.slice_steps_mm)), *stack.pixel_spacing_mm
