"""Valid findings of the infarct pipeline, with label maps and maps that fit any head-sized stack.

A lesion of three nested balls in patient coordinates (LPS mm) on one side: the core inside the
penumbra, and the predicted infarct over both. So a test knows where each must be found.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import INFARCT, INFARCT_CORE, PENUMBRA, Code, Laterality
from willis_models.findings import (
    NOTHING_FOUND,
    Criterion,
    Findings,
    Interval,
    Measurement,
    ModelIdentity,
    MotionTrace,
    PerfusionFindings,
    QualityItem,
    SegmentFinding,
    VesselCurve,
)
from willis_models.pipelines.base import Analysis, ResultMap
from willis_models.volume import SliceStack

MODEL = ModelIdentity(
    name="infarct",
    version="0.1.0",
    weights_sha256="cd" * 32,
    execution_provider="CPUExecutionProvider",
)
ROLE = "ctp"
CENTRE_LPS_MM = (40.0, -5.0, 4.0)
"""Centre of a lesion on the left; one on the right lies at -x."""
RADII_MM = {"core": 12.0, "penumbra": 24.0, "predicted_infarct": 18.0}
AIF_LPS, VOF_LPS = (-24.0, -12.0, -6.0), (0.0, 62.0, 12.0)
UNITS = {"cbf": "mL/(100.g)/min", "cbv": "mL/(100.g)", "mtt": "s", "tmax": "s", "ttp": "s"}
_STRUCTURES: Mapping[str, Code] = {
    "core": INFARCT_CORE,
    "penumbra": PENUMBRA,
    "predicted_infarct": INFARCT,
}


def distance_mm(stack: SliceStack, centre_lps: tuple[float, float, float]) -> NDArray[np.float32]:
    """Distance of every voxel from a point, (z, y, x)."""
    _, rows, columns = stack.shape
    y, x = np.mgrid[:rows, :columns]
    plane = y[..., None] * stack.column_step_lps + x[..., None] * stack.row_step_lps
    world = stack.origins_lps[:, None, None] + plane
    return np.asarray(np.linalg.norm(world - np.array(centre_lps), axis=-1), np.float32)


def lesion_layers(
    stack: SliceStack, side: Laterality = "left", radii_mm: Mapping[str, float] = RADII_MM
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The label map with core 1 and penumbra 2, and the overlay with the predicted infarct 3."""
    x, y, z = CENTRE_LPS_MM
    distance = distance_mm(stack, (x if side == "left" else -x, y, z))
    labels = np.zeros(stack.shape, np.uint8)
    labels[distance <= radii_mm["penumbra"]] = 2
    labels[distance <= radii_mm["core"]] = 1
    predicted = np.where(distance <= radii_mm["predicted_infarct"], 3, 0).astype(np.uint8)
    return labels, predicted


def perfusion_maps(
    stack: SliceStack, labels: NDArray[np.uint8], head_mm: float = 68.0
) -> tuple[ResultMap, ...]:
    """Maps of a round brain about the world's origin, slowed in the penumbra; NaN outside."""
    inside = distance_mm(stack, (0.0, 0.0, 0.0)) <= head_mm
    texture = np.random.default_rng(5).normal(1.0, 0.05, stack.shape)
    values = {
        "cbf": np.select([labels == 1, labels == 2], [8.0, 20.0], 45.0),
        "cbv": np.select([labels == 1, labels == 2], [0.9, 3.2], 3.0),
        "mtt": np.select([labels == 1, labels == 2], [7.0, 9.5], 4.0),
        "tmax": np.select([labels == 1, labels == 2], [11.5, 8.0], 1.5),
        "ttp": np.select([labels == 1, labels == 2], [24.0, 21.0], 14.0),
    }
    return tuple(
        ResultMap(key, np.where(inside, map_ * texture, np.nan).astype(np.float32), UNITS[key])
        for key, map_ in values.items()
    )


def infarct_findings(
    side: Laterality | None = "left",
    core_ml: float = 7.2,
    penumbra_ml: float = 51.0,
    predicted_ml: float = 24.4,
    source: str = "series",
) -> Findings:
    """Succeeded findings with the three segments and every number that the report shows."""
    is_series = source == "series"
    return Findings(
        pipeline="infarct",
        status="succeeded",
        model=MODEL,
        quality=(
            QualityItem(code="CTP_DURATION", outcome="pass", message="60 s after arrival."),
            QualityItem(
                code="CTP_COVERAGE",
                outcome="warn",
                message="The scan covers 60 mm of the head only.",
                value=60.0,
                unit="mm",
            ),
        ),
        segments=(
            _segment(1, "core", "Infarct core (rCBF < 30%)", side, core_ml),
            _segment(2, "penumbra", "Penumbra (Tmax > 6 s)", side, penumbra_ml),
            _segment(3, "predicted_infarct", "Predicted infarct", side, predicted_ml),
        ),
        measurements=_measurements(core_ml, penumbra_ml, is_series),
        perfusion=_perfusion(is_series),
        limits=("Performance on patients: not measured.",),
        timings_s={"check": 0.01, "prepare": 12.5, "predict": 1.25, "interpret": 0.4},
    )


def _segment(
    number: int, key: str, label: str, side: Laterality | None, volume_ml: float
) -> SegmentFinding:
    structure = _STRUCTURES[key]
    interval = Interval(low=9.5, high=41.25, coverage=0.9, basis="calibrated on simulated data")
    is_predicted = key == "predicted_infarct"
    return SegmentFinding(
        number=number,
        key=key,
        label=label,
        structure_value=structure.value,
        structure_scheme=structure.scheme,
        structure_meaning=structure.meaning,
        laterality=side,
        kind="lesion",
        reason=None if volume_ml else NOTHING_FOUND,
        measurements=(
            Measurement(
                key="volume_ml",
                value=volume_ml,
                unit="mL",
                interval=interval if is_predicted else None,
            ),
            Measurement(key="component_count", value=1.0, unit="{count}"),
            *(
                [Measurement(key="expected_volume_ml", value=26.5, unit="mL")]
                if is_predicted
                else []
            ),
        ),
    )


def _measurements(core_ml: float, penumbra_ml: float, is_series: bool) -> tuple[Measurement, ...]:
    hypoperfused_ml = core_ml + penumbra_ml
    values: dict[str, tuple[float | None, str]] = {
        "rcbf_below_20_ml": (core_ml / 2, "mL"),
        "rcbf_below_30_ml": (core_ml, "mL"),
        "rcbf_below_34_ml": (core_ml * 1.25, "mL"),
        "rcbf_below_38_ml": (core_ml * 1.5, "mL"),
        "tmax_above_4_ml": (hypoperfused_ml * 1.75, "mL"),
        "tmax_above_6_ml": (hypoperfused_ml, "mL"),
        "tmax_above_8_ml": (hypoperfused_ml / 2, "mL"),
        "tmax_above_10_ml": (core_ml, "mL"),
        "mismatch_ml": (penumbra_ml, "mL"),
        "mismatch_ratio": (hypoperfused_ml / core_ml if core_ml else None, "{ratio}"),
        "hypoperfusion_intensity_ratio": (0.125, "{ratio}"),
        "cbv_index": (0.875, "{ratio}"),
    }
    if is_series:
        values |= {"noise_hu": (0.375, "[hnsf'U]")}
    return tuple(Measurement(key=k, value=v, unit=u) for k, (v, u) in values.items())


def _perfusion(is_series: bool) -> PerfusionFindings:
    times_s = tuple(1.5 * n for n in range(40))
    trace = MotionTrace(
        times_s=times_s,
        translation_mm=tuple(1.75 if n == 21 else 0.25 for n in range(40)),
        rotation_deg=tuple(0.5 if n == 21 else 0.125 for n in range(40)),
        corrected=tuple(n == 21 for n in range(40)),
    )
    return PerfusionFindings(
        source="series" if is_series else "maps",
        method="oSVD, delay-insensitive; smoothed to 0.4 HU; interpolated to 0.5 s"
        if is_series
        else "maps as sent",
        aif=_curve("aif", AIF_LPS, 9.0, 280.0, 1.5) if is_series else None,
        vof=_curve("vof", VOF_LPS, 13.0, 420.0, 2.0) if is_series else None,
        motion=trace if is_series else None,
        criteria=(
            Criterion(
                trial="DEFUSE 3",
                rule="core < 70 mL, mismatch >= 15 mL, ratio >= 1.8",
                outcome="met",
                why="Core 7.2 mL, mismatch 51.0 mL, ratio 8.1.",
            ),
            Criterion(
                trial="EXTEND",
                rule="ratio > 1.2, mismatch > 10 mL, core < 70 mL",
                outcome="not_met",
                why="Made not to be met.",
            ),
            Criterion(
                trial="DAWN",
                rule="core < 21 to 51 mL by age and NIHSS",
                outcome="not_assessable",
                why="The NIHSS is not known.",
            ),
        ),
    )


def _curve(
    name: str,
    position_lps: tuple[float, float, float],
    start_s: float,
    peak_hu: float,
    width: float,
) -> VesselCurve:
    times_s = np.arange(40) * 1.5
    after = np.clip(times_s - start_s, 0, None) / width
    curve = after**3 * np.exp(-after)
    curve = peak_hu * curve / curve.max()
    return VesselCurve.model_validate(
        {
            "name": name,
            "position_lps": position_lps,
            "is_manual": name == "vof",
            "times_s": tuple(times_s.tolist()),
            "enhancement_hu": tuple(np.round(curve, 3).tolist()),
            "measurements": (
                Measurement(key="peak_hu", value=peak_hu, unit="[hnsf'U]"),
                Measurement(key="arrival_s", value=start_s, unit="s"),
                Measurement(key="fwhm_s", value=7.5, unit="s"),
                Measurement(key="last_share", value=0.125, unit="1"),
            ),
        }
    )


def infarct_analysis(
    stack: SliceStack, side: Laterality = "left", findings: Findings | None = None
) -> Analysis:
    """Findings, both layers and all maps on ``stack``."""
    labels, predicted = lesion_layers(stack, side)
    return Analysis(
        findings or infarct_findings(side),
        labels,
        ROLE,
        overlays=(predicted,),
        maps=perfusion_maps(stack, labels),
    )


def infarct_analysis_without_lesion(stack: SliceStack) -> Analysis:
    """Nothing above any threshold."""
    empty = np.zeros(stack.shape, np.uint8)
    findings = infarct_findings(None, core_ml=0.0, penumbra_ml=0.0, predicted_ml=0.0)
    return Analysis(findings, empty, ROLE, overlays=(empty,), maps=perfusion_maps(stack, empty))
