"""From class probabilities to findings and native labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.unit.models.phantoms import make_stack, shipped_manifest
from tests.unit.models.pipelines.aspects.heads import GRID, added, healthy_head, region_labels
from willis_models.findings import Findings
from willis_models.pipelines.aspects.head import HeadInTemplate
from willis_models.pipelines.aspects.interpret import interpret, volumes_ml
from willis_models.pipelines.base import InputImage, Interpretation, Prepared
from willis_models.volume import SliceStack

UNEVEN_MM = (2.0,) * 20 + (1.0,) + (1.5,) * 18


def probabilities() -> np.ndarray:
    return np.moveaxis(np.eye(21, dtype=np.float32)[region_labels()], -1, 0)


def run(head: HeadInTemplate, stack: SliceStack) -> Interpretation:
    prepared = Prepared(np.zeros((1, *GRID.shape), dtype=np.float32), context=head)
    return interpret({"ncct": InputImage(stack)}, prepared, probabilities(), shipped_manifest(), {})


@pytest.fixture(scope="module")
def stack() -> SliceStack:
    stack = make_stack((40, 100, 90), 1.0, UNEVEN_MM, tilt_deg=12.0)
    return stack.with_voxels(np.zeros(stack.shape, dtype=np.int16))


def test_findings_hold_twenty_segments_with_their_evidence(stack: SliceStack) -> None:
    findings = run(added(healthy_head(), region_labels() == 6, -4.0), stack).findings

    assert [segment.number for segment in findings.segments] == list(range(1, 21))
    dark = findings.segment("left_M2")
    assert dark.laterality == "left"
    assert dark.structure.scheme == "99WILLIS"
    assert dark.rule_state == "affected"
    assert dark.value("difference_hu") == pytest.approx(4.0, abs=0.2)
    assert dark.value("mean_hu") == pytest.approx(30.0, abs=0.2)
    assert dark.value("mirror_mean_hu") == pytest.approx(34.0, abs=0.2)
    assert dark.value("counted_voxels") == 384
    assert {score.side for score in findings.scores} == {"left", "right"}


def test_findings_survive_json(stack: SliceStack) -> None:
    findings = run(healthy_head(), stack).findings

    document = json.loads(findings.model_dump_json())

    assert document["schema_version"] == "1.0"
    assert "not a medical device" in document["intended_use"]
    assert Findings.model_validate(document) == findings


def test_native_labels_carry_the_volume_of_each_region(stack: SliceStack) -> None:
    result = run(healthy_head(), stack)

    assert result.reference_role == "ncct"
    assert result.labels.shape == stack.shape
    true_ml = 6 * 8 * 8 * GRID.voxel_ml
    for segment in result.findings.segments:
        # Between two hard-edged classes the middle is a tie, which the smaller label wins.
        assert 0.75 * true_ml < segment.value("volume_ml") < 1.05 * true_ml


def test_each_slice_counts_with_its_own_extent() -> None:
    stack = make_stack((4, 5, 5), 2.0, (3.0, 6.0, 6.0))
    native = np.zeros(stack.shape, dtype=np.uint8)
    native[0, 0, 0] = native[1, 0, 0] = native[2, 0, 0] = 7

    found = volumes_ml(native, stack)

    # Pixels of 4 mm2; extents of 3, 4.5 and 6 mm.
    assert found[7] == pytest.approx(4.0 * (3.0 + 4.5 + 6.0) / 1000.0)
    assert found.shape == (21,)


def test_a_region_that_is_not_covered_says_so_and_has_no_probability(stack: SliceStack) -> None:
    head = healthy_head()
    uncovered = np.ones(GRID.shape, dtype=bool)
    uncovered[11:] = False
    head = HeadInTemplate(GRID, head.hu, head.brain, uncovered, head.registration, 1400.0)

    findings = run(head, stack).findings

    segment = findings.segment("right_M2")
    assert segment.state == segment.rule_state == "not_assessable"
    assert segment.reason == "The scan does not cover the region."
    assert segment.value("probability") is None
    left = findings.score("left")
    assert left is not None
    assert left.score is None
    assert len(left.not_assessable) == 5
