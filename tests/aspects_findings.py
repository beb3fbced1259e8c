"""Valid ASPECTS findings and a label map that fits any head-sized stack, for tests.

Twenty boxes in patient coordinates (LPS mm) stand for the regions: the left ones at +x, the deep
ones near the middle, M4-M6 above the others. So a test knows where each region must be found.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import ASPECTS_REGIONS, ASPECTS_STRUCTURES, SIDES, Laterality
from willis_models.findings import (
    Findings,
    Measurement,
    ModelIdentity,
    QualityItem,
    Rejection,
    SegmentFinding,
    SideScore,
    SideSelection,
    State,
)
from willis_models.pipelines.base import Analysis
from willis_models.volume import SliceStack

MODEL = ModelIdentity(
    name="aspects-regions",
    version="1.0.0",
    weights_sha256="ab" * 32,
    execution_provider="CPUExecutionProvider",
)

# Centre (|x|, y, z) and half size of each region's box, mm, about the centre of the head.
BOXES: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "C": ((10, -15, 0), (4, 8, 14)),
    "L": ((26, -5, 0), (5, 10, 14)),
    "I": ((36, -5, 0), (4, 14, 14)),
    "IC": ((17.5, 0, 0), (2.5, 14, 14)),
    "M1": ((46, -32, 0), (8, 12, 14)),
    "M2": ((48, -5, 0), (7, 14, 14)),
    "M3": ((46, 24, 0), (8, 14, 14)),
    "M4": ((34, -32, 32), (12, 12, 14)),
    "M5": ((38, -5, 32), (12, 14, 14)),
    "M6": ((34, 24, 32), (12, 14, 14)),
}


def region_labels(stack: SliceStack) -> NDArray[np.uint8]:
    """The label map on a stack whose head is centred at the world's origin; left regions 1-10."""
    _, rows, columns = stack.shape
    y, x = np.mgrid[:rows, :columns]
    plane = y[..., None] * stack.column_step_lps + x[..., None] * stack.row_step_lps
    labels = np.zeros(stack.shape, np.uint8)
    for slice_labels, origin in zip(labels, stack.origins_lps, strict=True):
        world = (origin + plane).astype(np.float32)
        for number, (side, region) in enumerate(_sided_regions(), start=1):
            slice_labels[_inside_box(world, side, region)] = number
    return labels


def _inside_box(world: NDArray[np.float32], side: Laterality, region: str) -> NDArray[np.bool_]:
    (across, back, up), half = BOXES[region]
    centre = (across if side == "left" else -across, back, up)
    inside = np.abs(world[..., 2] - centre[2]) <= half[2]
    if not inside.any():
        return inside
    for axis in (0, 1):
        inside &= np.abs(world[..., axis] - centre[axis]) <= half[axis]
    return inside


def _sided_regions() -> list[tuple[Laterality, str]]:
    return [(side, region) for side in SIDES for region in ASPECTS_REGIONS]


def aspects_findings(
    affected: Collection[str] = ("left_M2", "left_I"),
    indeterminate: Collection[str] = ("left_M5",),
    not_assessable: Collection[str] = ("right_C",),
    how: str = "The side with more affected regions.",
) -> Findings:
    """Succeeded findings with twenty segments; the named ones in the named states."""

    def state(key: str) -> State:
        if key in affected:
            return "affected"
        if key in indeterminate:
            return "indeterminate"
        return "not_assessable" if key in not_assessable else "unaffected"

    segments = tuple(
        _segment(number, side, region, state(f"{side}_{region}"))
        for number, (side, region) in enumerate(_sided_regions(), start=1)
    )
    counts = {side: sum(key.startswith(side) for key in affected) for side in SIDES}
    worse: Laterality | None = max(SIDES, key=lambda side: counts[side]) if affected else None
    return Findings(
        pipeline="aspects",
        status="succeeded",
        model=MODEL,
        quality=(
            QualityItem(code="BRAIN_VOLUME", outcome="pass", message="Brain volume is plausible."),
            QualityItem(
                code="TILT_CORRECTED",
                outcome="warn",
                message="A gantry tilt of 18.5° was corrected.",
                value=18.5,
                unit="deg",
            ),
        ),
        scores=tuple(_score(side, segments) for side in SIDES),
        side_selection=SideSelection(side=worse, how=how),
        segments=segments,
        limits=("Performance on patients: not measured.",),
        timings_s={"check": 0.01, "prepare": 2.5, "predict": 1.25, "interpret": 0.4},
    )


def _segment(number: int, side: Laterality, region: str, state: State) -> SegmentFinding:
    structure = ASPECTS_STRUCTURES[region]
    return SegmentFinding(
        number=number,
        key=f"{side}_{region}",
        label=f"{side.capitalize()} {region}",
        structure_value=structure.value,
        structure_scheme=structure.scheme,
        structure_meaning=structure.meaning,
        laterality=side,
        state=state,
        rule_state="affected" if state == "affected" else "unaffected",
        reason="Too few voxels counted." if state == "not_assessable" else None,
        measurements=_measurements(number, state),
    )


def _measurements(number: int, state: State) -> tuple[Measurement, ...]:
    own_hu, other_hu = (27.25, 31.5) if state == "affected" else (31.0 + number / 16, 31.5)
    known = state != "not_assessable"
    probability = {"affected": 0.875, "indeterminate": 0.5}.get(state, 0.0625)
    values = {
        "volume_ml": (4.0 + number / 8, "mL"),
        "probability": (probability if known else None, "1"),
        "mean_hu": (own_hu if known else None, "[hnsf'U]"),
        "mirror_mean_hu": (other_hu if known else None, "[hnsf'U]"),
        "difference_hu": (other_hu - own_hu if known else None, "[hnsf'U]"),
        "ratio": (own_hu / other_hu if known else None, "{ratio}"),
        "counted_voxels": (1000.0 + number if known else 12.0, "{voxels}"),
        "excluded_csf_voxels": (25.0, "{voxels}"),
        "excluded_calcification_voxels": (0.0, "{voxels}"),
        "excluded_old_infarct_voxels": (0.0, "{voxels}"),
    }
    return tuple(Measurement(key=k, value=v, unit=u) for k, (v, u) in values.items())


def _score(side: Laterality, segments: tuple[SegmentFinding, ...]) -> SideScore:
    def regions(state: State) -> tuple[str, ...]:
        mine = (s for s in segments if s.laterality == side and s.state == state)
        return tuple(s.key.removeprefix(f"{side}_") for s in mine)

    affected = len(regions("affected"))
    is_open = len(regions("indeterminate")) + len(regions("not_assessable"))
    return SideScore(
        side=side,
        score=10 - affected,
        lowest=10 - affected - is_open,
        highest=10 - affected,
        affected=regions("affected"),
        indeterminate=regions("indeterminate"),
        not_assessable=regions("not_assessable"),
    )


def rejected_findings(
    code: str = "BRAIN_NOT_PLAUSIBLE",
    message: str = "No plausible brain was found inside the skull.",
) -> Findings:
    """Findings of a study that was refused."""
    return Findings(
        pipeline="aspects",
        status="rejected",
        model=MODEL,
        quality=(QualityItem(code=code, outcome="reject", message=message),),
        rejection=Rejection(code=code, message=message),
        limits=("Performance on patients: not measured.",),
        timings_s={"check": 0.01},
    )


def aspects_analysis(stack: SliceStack, findings: Findings | None = None) -> Analysis:
    """Findings with the label map of the twenty boxes on ``stack``."""
    return Analysis(findings or aspects_findings(), region_labels(stack), "ncct")
