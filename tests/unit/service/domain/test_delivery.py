from __future__ import annotations

from datetime import timedelta

import pytest

from willis_service.domain.delivery import Backoff, NewDelivery, ResultObject
from willis_service.domain.job import ResultKind

BACKOFF = Backoff(first=timedelta(seconds=5), longest=timedelta(seconds=300))


@pytest.mark.parametrize(
    ("failures", "ceiling_s"), [(1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (1000, 300)]
)
def test_the_ceiling_doubles_up_to_the_longest_pause(failures, ceiling_s):
    assert BACKOFF.pause(failures, 1.0) == timedelta(seconds=ceiling_s)


def test_the_pause_is_anywhere_below_the_ceiling_but_never_nothing():
    assert BACKOFF.pause(7, 0.5) == timedelta(seconds=150)
    assert BACKOFF.pause(7, 0.0) == timedelta(seconds=0.5)


def test_the_same_object_to_the_same_destination_is_the_same_delivery():
    seg = ResultObject(ResultKind.SEG, "1.2.3", "1.2.840")

    ids = [
        NewDelivery("job", "pacs", seg).id,
        NewDelivery("job", "pacs", seg).id,
        NewDelivery("job", "vna", seg).id,
        NewDelivery("job", "pacs", ResultObject(ResultKind.SEG, "1.2.4", "1.2.840")).id,
    ]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
