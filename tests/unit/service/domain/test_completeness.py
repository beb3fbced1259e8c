"""When a series is complete by its protocol, and how long a study is waited for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis_service.domain.completeness import (
    HEAD_CT,
    HEAD_MR,
    MAP,
    PERFUSION,
    Basis,
    Lack,
    Place,
    Protocol,
    SeriesShape,
    Waiting,
    judge,
    protocol_of,
)

WAITING = Waiting(timedelta(seconds=2), timedelta(seconds=10), timedelta(seconds=60))


def places(
    count: int = 30, step_mm: float = 5.0, thickness_mm: float | None = 5.0, images: int = 1
) -> tuple[Place, ...]:
    moments = frozenset((f"time {n}",) for n in range(images))
    return tuple(Place(k * step_mm, thickness_mm, images, moments) for k in range(count))


def series(places: tuple[Place, ...], **given) -> SeriesShape:
    images = sum(place.images for place in places)
    return SeriesShape(places, **{"has_gap": False, "images": images} | given)


HEAD = series(places())
DYNAMIC = series(places(16, images=20))


def with_places(shape: SeriesShape, *changed: Place) -> SeriesShape:
    return replace(shape, places=(*shape.places[: -len(changed)], *changed))


def test_contiguous_slices_that_cover_the_head_are_complete() -> None:
    assert judge(HEAD, HEAD_CT) is Basis.CONTIGUOUS_SLICES


@pytest.mark.parametrize(
    ("shape", "lack"),
    [
        (series(places(9, step_mm=15, thickness_mm=15)), Lack.FEW_SLICES),
        (replace(HEAD, has_gap=True), Lack.GAP),
        (series(places(23)), Lack.COVERAGE),
        (series(places(15, step_mm=10)), Lack.NOT_CONTIGUOUS),
        (series(places(30, thickness_mm=None)), Lack.NOT_CONTIGUOUS),
        (replace(HEAD, stated_step_mm=2.5), Lack.NOT_CONTIGUOUS),
        (replace(HEAD, announced_images=31), Lack.ANNOUNCED),
        (series(places(images=2)), Lack.REPEATED),
    ],
)
def test_a_volume_that_lacks_something_waits_and_says_what(shape: SeriesShape, lack: Lack) -> None:
    assert judge(shape, HEAD_CT) is lack


def test_a_short_series_is_complete_when_all_announced_images_are_there() -> None:
    part = series(places(15))

    assert judge(part, HEAD_CT) is Lack.COVERAGE
    assert judge(replace(part, announced_images=15), HEAD_CT) is Basis.CONTIGUOUS_SLICES


@given(st.one_of(st.none(), st.integers(1, 100)), st.sampled_from([HEAD_CT, PERFUSION]))
def test_no_announced_number_makes_a_gap_complete(announced: int | None, protocol) -> None:
    shape = replace(DYNAMIC, has_gap=True, announced_images=announced, announced_time_points=20)

    assert judge(shape, protocol) is Lack.GAP


def test_the_same_number_of_time_points_at_every_slice_is_a_complete_perfusion_scan() -> None:
    assert judge(DYNAMIC, PERFUSION) is Basis.TIME_POINTS


def test_a_time_point_that_misses_a_slice_is_not_complete() -> None:
    last = DYNAMIC.places[-1]
    short = replace(last, images=19, moments=frozenset(list(last.moments)[1:]))

    assert judge(with_places(DYNAMIC, short), PERFUSION) is Lack.UNEVEN_TIME_POINTS


def test_a_copy_of_an_image_is_no_time_point() -> None:
    last = DYNAMIC.places[-1]

    assert judge(with_places(DYNAMIC, replace(last, images=21)), PERFUSION) is Basis.TIME_POINTS


def test_numbered_time_points_have_no_gap() -> None:
    without_seven = frozenset(range(1, 22)) - {7}

    shape = replace(DYNAMIC, time_indexes=without_seven)

    assert judge(shape, PERFUSION) is Lack.UNEVEN_TIME_POINTS
    assert judge(replace(shape, time_indexes=frozenset(range(1, 21))), PERFUSION) is (
        Basis.TIME_POINTS
    )


@pytest.mark.parametrize(
    ("time_points", "given", "verdict"),
    [
        (9, {}, Lack.FEW_TIME_POINTS),
        (10, {}, Basis.TIME_POINTS),
        (10, {"announced_time_points": 11}, Lack.ANNOUNCED),
        (4, {"announced_time_points": 4}, Basis.TIME_POINTS),
        (4, {"announced_images": 16 * 4}, Basis.TIME_POINTS),
        (10, {"announced_images": 16 * 11}, Lack.ANNOUNCED),
    ],
)
def test_time_points_count_against_what_was_announced_or_a_bolus_takes(
    time_points: int, given: dict[str, int], verdict: Basis | Lack
) -> None:
    shape = series(places(16, images=time_points), **given)

    assert judge(shape, PERFUSION) is verdict


def test_a_single_volume_is_no_perfusion_scan() -> None:
    assert judge(HEAD, PERFUSION) is Lack.FEW_TIME_POINTS


def test_a_multi_frame_object_is_complete_by_itself() -> None:
    whole = replace(series(places(2)), is_whole_object=True)

    assert judge(whole, HEAD_CT) is Basis.MULTI_FRAME


@pytest.mark.parametrize(
    ("kind", "modality", "protocol"),
    [
        ("dynamic", "CT", PERFUSION),
        ("dynamic", "MR", PERFUSION),
        ("map", "CT", MAP),
        ("volume", "CT", HEAD_CT),
        ("volume", "MR", HEAD_MR),
    ],
)
def test_a_role_has_the_protocol_of_its_kind(kind: str, modality: str, protocol: Protocol) -> None:
    assert protocol_of(kind, modality) is protocol


@pytest.mark.parametrize(
    ("settled_s", "quiet_s", "open_s", "verdict", "basis"),
    [
        (1.9, 1.9, 5, Basis.CONTIGUOUS_SLICES, None),
        (2, 0, 5, Basis.CONTIGUOUS_SLICES, Basis.CONTIGUOUS_SLICES),
        (9.9, 9.9, 20, Lack.GAP, None),
        (10, 10, 20, Lack.GAP, Basis.QUIET_PERIOD),
        (0, 0, 59, Basis.CONTIGUOUS_SLICES, None),
        (0, 0, 60, Lack.GAP, Basis.UPPER_LIMIT),
        (0, 0, 60, Basis.CONTIGUOUS_SLICES, Basis.UPPER_LIMIT),
        (30, 30, 90, Basis.TIME_POINTS, Basis.TIME_POINTS),
    ],
)
def test_what_is_complete_waits_shortly_and_nothing_waits_for_ever(
    settled_s: float, quiet_s: float, open_s: float, verdict: Basis | Lack, basis: Basis | None
) -> None:
    ages = (timedelta(seconds=seconds) for seconds in (settled_s, quiet_s, open_s))

    assert WAITING.basis(*ages, verdict) is basis


def test_a_study_is_over_when_it_fell_quiet_or_waited_longest() -> None:
    second = timedelta(seconds=1)

    assert WAITING.is_over(10 * second, 10 * second)
    assert WAITING.is_over(0 * second, 60 * second)
    assert not WAITING.is_over(9.9 * second, 59 * second)
