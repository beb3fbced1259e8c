"""The outcome model: core inside the infarct, penumbra around it, and what joins it later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.simulation.ctp.small_head import (
    COURSE,
    LEFT_MCA,
    ball,
    head,
    stroke,
    territory,
)
from willis_training.simulation.ctp.stroke import draw_course, draw_stroke
from willis_training.simulation.ctp.vessels import LEFT_M1


def test_the_core_is_the_deep_part_of_the_infarct_of_the_share_that_had_died() -> None:
    found = stroke()

    assert not (found.core & ~ball()).any()
    assert found.core.sum() == pytest.approx((1 - COURSE.growth) * ball().sum(), abs=1)
    assert found.core[ball()].mean() < 1.0
    middle = tuple(np.argwhere(ball()).mean(axis=0).round().astype(int))
    assert found.core[middle]


def test_the_hypoperfused_tissue_has_the_volume_that_was_drawn_and_keeps_to_its_side() -> None:
    found = stroke()
    hypoperfused = found.core | found.penumbra

    assert hypoperfused.sum() == pytest.approx(COURSE.salvage * ball().sum(), rel=0.02)
    assert set(np.unique(territory()[hypoperfused])) == {LEFT_MCA}
    assert not (found.core & found.penumbra).any()


def test_where_flow_returned_the_final_infarct_is_the_real_lesion() -> None:
    np.testing.assert_array_equal(stroke().final_infarct, ball())


def test_where_flow_did_not_return_penumbra_dies_and_more_of_it_with_time() -> None:
    occluded = replace(COURSE, reperfused=False)
    early, late = (stroke(replace(occluded, onset_h=h)).final_infarct for h in (1.0, 16.0))

    assert early.sum() >= ball().sum()
    assert late.sum() > early.sum()


def test_a_silent_part_of_the_infarct_has_normal_flow_at_imaging() -> None:
    found = stroke(replace(COURSE, silent_share=0.3, salvage=1.0, border_noise_mm=5.0))
    silent = ball() & ~found.core & ~found.penumbra

    assert 0.2 < silent.sum() / ball().sum() < 0.5
    assert found.severity[silent].mean() < found.severity[found.core].mean() - 0.5


def test_early_reperfusion_saves_part_of_the_core() -> None:
    found = stroke(replace(COURSE, reversed_share=0.2))

    saved = found.core & ~found.final_infarct
    assert saved.sum() == pytest.approx(0.2 * found.core.sum(), abs=1)


def test_severity_falls_from_core_over_penumbra_to_the_other_hemisphere() -> None:
    found = stroke()
    other = head().brain & (territory() != LEFT_MCA)

    core, penumbra, normal = (
        float(found.severity[mask].mean()) for mask in (found.core, found.penumbra, other)
    )
    assert core > 1.3 > penumbra > 0.4 > normal


def test_a_large_stroke_closes_the_trunk_of_its_side() -> None:
    assert stroke().trunk == 0

    whole = head().brain & (territory() == LEFT_MCA)
    course = replace(COURSE, salvage=1.0)
    found = draw_stroke(head(), whole, territory(), np.random.default_rng(1), course)
    # The head is half as large as a real one: 30 of its mL are a hemisphere.
    assert (found.trunk == LEFT_M1) == (whole.sum() * 8 / 1000 > 60)


def test_the_same_seed_gives_the_same_stroke_and_another_one_another() -> None:
    course = replace(COURSE, border_noise_mm=5.0)

    np.testing.assert_array_equal(stroke(course, 3).severity, stroke(course, 3).severity)
    assert (stroke(course, 3).core != stroke(course, 4).core).any()


def test_courses_differ_and_only_reperfusion_saves_core() -> None:
    rng = np.random.default_rng(0)
    courses = [draw_course(rng) for _ in range(200)]

    assert 0.45 < np.mean([c.reperfused for c in courses]) < 0.75
    assert all(c.reversed_share == 0 for c in courses if not c.reperfused)
    growth = {
        fate: np.mean([c.growth for c in courses if c.reperfused is fate]) for fate in (True, False)
    }
    assert growth[False] > growth[True]
