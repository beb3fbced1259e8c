"""From what was measured and what the network says to findings and masks on the native slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import MAP_UNITS, Laterality
from willis_models.findings import (
    NOTHING_FOUND,
    Findings,
    Measurement,
    SegmentFinding,
    SideSelection,
)
from willis_models.imaging.components import Mask
from willis_models.imaging.parts import part_volumes_ml
from willis_models.imaging.sides import left_of_middle
from willis_models.manifest import Manifest, OutputLabel
from willis_models.pipelines.base import Assets, Case, Interpretation, Prepared, ResultMap
from willis_models.pipelines.infarct.measured import Measured
from willis_models.pipelines.infarct.parameters import (
    InfarctParameters,
    parameters_of,
)
from willis_models.pipelines.infarct.perfusion_findings import perfusion_findings, study_numbers
from willis_models.pipelines.infarct.predicted import Predicted, interval_around, predict_native
from willis_models.pipelines.infarct.prepare import OnGrid
from willis_models.volume import SliceStack

CORE, PENUMBRA, PREDICTED = "core", "penumbra", "predicted_infarct"
SIDE_FROM = 0.7
"""A side is named where this share of a segment lies on it."""


def interpret(
    case: Case,
    prepared: Prepared,
    output: NDArray[np.float32],
    manifest: Manifest,
    assets: Assets,
) -> Interpretation:
    """Findings, core and penumbra as labels, the predicted infarct as a layer of its own.

    ``output`` (2, z, y, x): probability of background and of infarct on the network's lattice.
    """
    context: OnGrid = prepared.context
    measured, parameters = context.measured, parameters_of(manifest)
    threshold = manifest.thresholds[PREDICTED].value
    predicted = predict_native(output[1], context, threshold, parameters.prediction)
    values = {one.key: one.value for one in manifest.outputs}
    masks = {
        CORE: _mask(measured.regions.core, measured),
        PENUMBRA: _mask(measured.regions.penumbra, measured),
        PREDICTED: predicted.mask,
    }
    labels = np.zeros(measured.stack.shape, np.uint8)
    for key in (CORE, PENUMBRA):
        labels[masks[key]] = values[key]
    findings = Findings(
        pipeline=manifest.pipeline,
        status="succeeded",
        segments=tuple(_segments(masks, predicted, measured, manifest, parameters)),
        side_selection=_lead(measured),
        measurements=study_numbers(measured),
        perfusion=perfusion_findings(measured, case, parameters),
    )
    overlay = predicted.mask.astype(np.uint8) * np.uint8(values[PREDICTED])
    return Interpretation(findings, labels, measured.role, (overlay,), _maps(measured))


def _segments(
    masks: dict[str, Mask],
    predicted: Predicted,
    measured: Measured,
    manifest: Manifest,
    parameters: InfarctParameters,
) -> Iterator[SegmentFinding]:
    for output in manifest.outputs:
        mask = masks[output.key]
        numbers = list(_segment_numbers(mask, measured.stack))
        if output.key == PREDICTED:
            numbers = _with_uncertainty(numbers, predicted, measured.stack, parameters)
        yield _segment(output, mask, measured, tuple(numbers))


def _segment(
    output: OutputLabel, mask: Mask, measured: Measured, numbers: tuple[Measurement, ...]
) -> SegmentFinding:
    value, scheme, meaning = output.structure
    return SegmentFinding(
        number=output.value,
        key=output.key,
        label=output.label,
        structure_value=value,
        structure_scheme=scheme,
        structure_meaning=meaning,
        laterality=side_of(mask, measured),
        kind="lesion",
        reason=None if mask.any() else NOTHING_FOUND,
        measurements=numbers,
    )


def _segment_numbers(mask: Mask, stack: SliceStack) -> Iterator[Measurement]:
    volumes = part_volumes_ml(mask, stack)
    yield Measurement(key="volume_ml", value=round(float(volumes.sum()), 2), unit="mL")
    yield Measurement(key="component_count", value=len(volumes), unit="{count}")
    largest = round(float(volumes.max()), 2) if len(volumes) else 0.0
    yield Measurement(key="largest_component_ml", value=largest, unit="mL")


def _with_uncertainty(
    numbers: list[Measurement],
    predicted: Predicted,
    stack: SliceStack,
    parameters: InfarctParameters,
) -> list[Measurement]:
    rule = parameters.prediction.interval
    expected = float((predicted.probability.sum(axis=(1, 2)) * stack.voxel_ml).sum())
    first, *others = numbers
    interval = None if rule is None else interval_around(first.value or 0.0, rule)
    weighted = Measurement(key="expected_volume_ml", value=round(expected, 2), unit="mL")
    return [first.model_copy(update={"interval": interval}), *others, weighted]


def side_of(mask: Mask, measured: Measured) -> Laterality | None:
    """The side on which most of a mask lies; None for an empty one or one on both sides."""
    if not mask.any():
        return None
    left = left_of_middle(measured.stack, measured.brain)
    share = float(left[mask].mean())
    if share >= SIDE_FROM:
        return "left"
    return "right" if share <= 1 - SIDE_FROM else None


def _lead(measured: Measured) -> SideSelection:
    """The side that the report leads with: that of the late tissue."""
    late = _mask(measured.regions.hypoperfused, measured)
    if not late.any():
        return SideSelection(side=None, how="No tissue is late beyond the threshold.")
    side = side_of(late, measured)
    how = "The side that holds most of core and penumbra."
    return SideSelection(side=side, how=how if side else "Core and penumbra lie on both sides.")


def _mask(found: Mask | None, measured: Measured) -> Mask:
    """A region, empty where its map was not at hand."""
    return np.zeros(measured.stack.shape, bool) if found is None else found


def _maps(measured: Measured) -> tuple[ResultMap, ...]:
    is_own = measured.scan is not None
    found = ((key, getattr(measured.maps, key), unit) for key, unit in MAP_UNITS.items())
    return tuple(
        ResultMap(key, values, unit, is_own) for key, values, unit in found if values is not None
    )
