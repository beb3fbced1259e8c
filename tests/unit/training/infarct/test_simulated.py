"""A simulated case follows from its head's name and its number, and knows what it is made of."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tests.unit.training.labelled_head import anatomy
from tests.unit.training.simulation.ctp.small_head import QUIET, head, territory
from tests.unit.training.simulation.ctp.test_territory import bank
from willis_training.datasets.lesions import LesionBank
from willis_training.infarct import simulated
from willis_training.infarct.simulated import Patients


def banks() -> LesionBank:
    """The same ball under a name for training and one for testing."""
    one = bank()
    return replace(
        one,
        packed=np.repeat(one.packed, 40, axis=0),
        names=tuple(f"lesion-{n}" for n in range(40)),
        volume_ml=np.repeat(one.volume_ml, 40),
        left_share=np.repeat(one.left_share, 40),
        side=one.side * 40,
        region_fraction=np.repeat(one.region_fraction, 40, axis=0),
    )


@cache
def patients(name: str) -> Patients:
    return Patients(anatomy(name), banks(), territory(), head())


@pytest.fixture(autouse=True)
def _small_scans(monkeypatch: pytest.MonkeyPatch) -> None:
    short = replace(QUIET, duration_s=9.0, slices=4)
    monkeypatch.setattr(simulated, "training_protocol", lambda _rng: short)


def test_the_same_number_gives_the_same_case_and_another_another() -> None:
    first, again = patients("head_01").simulate(3), patients("head_01").simulate(3)
    other = patients("head_01").simulate(4)

    assert first.name == "head_01_0003"
    np.testing.assert_array_equal(first.study.dynamic.frames, again.study.dynamic.frames)
    assert first.lesion == again.lesion
    assert (first.study.truth.core.shape != other.study.truth.core.shape) or (
        first.study.truth.core != other.study.truth.core
    ).any()


def test_test_heads_get_test_lesions_and_the_others_never_do() -> None:
    teaching, judging = patients("head_01"), patients("head_04")

    assert teaching.suitable and judging.suitable
    assert not set(teaching.suitable) & set(judging.suitable)
    assert judging.simulate(0).lesion in {banks().names[n] for n in judging.suitable}


def test_images_come_by_role_and_volumes_in_millilitres() -> None:
    case = patients("head_01").simulate(1)

    assert set(case.images) == {"ctp", "ncct", "cta"}
    assert case.images["ctp"].dynamic is case.study.dynamic
    truth = case.study.truth
    voxel_ml = case.study.dynamic.mean.voxel_ml[0]
    assert case.volumes_ml["core"] == pytest.approx(truth.core.sum() * voxel_ml, rel=1e-3)


def test_a_head_without_a_lesion_in_its_brain_says_so() -> None:
    empty = replace(banks(), packed=np.zeros_like(banks().packed))

    with pytest.raises(RuntimeError, match="head_01"):
        Patients(anatomy("head_01"), empty, territory(), head()).simulate(0)
