"""From the network's output to findings and to labels on the native slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from willis_models.codes import SIDES
from willis_models.findings import Findings, Measurement, SegmentFinding
from willis_models.imaging.resample import labels_on_stack, refine_labels
from willis_models.manifest import Manifest, OutputLabel
from willis_models.pipelines.aspects.features import RegionEvidence, measure
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.parameters import AspectsParameters, parameters_of
from willis_models.pipelines.aspects.prepare import ROLE
from willis_models.pipelines.aspects.states import RegionState, judge, score_side, select_side
from willis_models.pipelines.base import Assets, Case, Interpretation, Prepared
from willis_models.volume import SliceStack

REFINE = 2


def interpret(
    case: Case,
    prepared: Prepared,
    probabilities: NDArray[np.float32],
    manifest: Manifest,
    assets: Assets,
) -> Interpretation:
    """Findings, and region labels 1-20 on the native slices.

    ``probabilities`` (21, z, y, x) on the network's grid, background first.
    """
    head: HeadInTemplate = prepared.context
    parameters = parameters_of(manifest)
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    stack = case[ROLE].stack
    fine, fine_grid = refine_labels(probabilities, head.grid, REFINE)
    native = labels_on_stack(fine, fine_grid, stack, head.registration.to_template)
    findings = find(head, labels, native, stack, parameters, manifest)
    return Interpretation(findings, native, ROLE)


def find(
    head: HeadInTemplate,
    labels: NDArray[np.uint8],
    native: NDArray[np.uint8],
    stack: SliceStack,
    parameters: AspectsParameters,
    manifest: Manifest,
) -> Findings:
    """States, scores and the side to lead with, from a label map on the head's grid."""
    evidence = measure(head, labels, parameters.tissue)
    states = judge(evidence, parameters.states, parameters.rule)
    scores = tuple(score_side(states, side, parameters.states.max_not_assessable) for side in SIDES)
    volumes = volumes_ml(native, stack)
    outputs = {output.value: output for output in manifest.outputs}
    segments = tuple(
        _segment(outputs[item.evidence.label], item, volumes[item.evidence.label])
        for item in states
    )
    return Findings(
        pipeline=manifest.pipeline,
        status="succeeded",
        scores=scores,
        side_selection=select_side(states, scores),
        segments=segments,
    )


def volumes_ml(native: NDArray[np.uint8], stack: SliceStack) -> NDArray[np.float64]:
    """Volume of each label (21,) on the native slices, each with its own extent."""
    counts = np.stack([np.bincount(plane.ravel(), minlength=21) for plane in native])
    return np.asarray((counts * stack.voxel_ml[:, None]).sum(axis=0))


def _segment(output: OutputLabel, item: RegionState, volume_ml: float) -> SegmentFinding:
    value, scheme, meaning = output.structure
    return SegmentFinding(
        number=output.value,
        key=output.key,
        label=output.label,
        structure_value=value,
        structure_scheme=scheme,
        structure_meaning=meaning,
        laterality=output.laterality,
        state=item.state,
        rule_state=item.rule,
        reason=item.evidence.reason,
        measurements=_measurements(item, item.evidence, volume_ml),
    )


def _measurements(
    item: RegionState, evidence: RegionEvidence, volume_ml: float
) -> tuple[Measurement, ...]:
    hu = "[hnsf'U]"
    table: tuple[tuple[str, float | None, str], ...] = (
        ("volume_ml", round(volume_ml, 3), "mL"),
        ("probability", _rounded(item.probability, 3), "1"),
        ("mean_hu", _rounded(evidence.mean_hu, 2), hu),
        ("mirror_mean_hu", _rounded(evidence.mirror_mean_hu, 2), hu),
        ("difference_hu", _rounded(evidence.difference_hu, 2), hu),
        ("ratio", _rounded(evidence.ratio, 3), "{ratio}"),
        ("counted_voxels", evidence.counted, "{voxels}"),
        ("excluded_csf_voxels", evidence.csf, "{voxels}"),
        ("excluded_calcification_voxels", evidence.calcification, "{voxels}"),
        ("excluded_old_infarct_voxels", evidence.old_infarct, "{voxels}"),
    )
    return tuple(Measurement(key=k, value=v, unit=u) for k, v, u in table)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
