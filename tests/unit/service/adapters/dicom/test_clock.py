"""Times as headers write them."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset

from willis_service.adapters.dicom.clock import moments_of, unwrapped


def stated(**values: str) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("101112.500000", 36672.5), ("101112", 36672.0), ("1011", 36660.0), ("10", 36000.0)],
)
def test_a_time_may_be_short(text: str, seconds: float) -> None:
    assert moments_of(stated(AcquisitionTime=text)) == (seconds, seconds)


def test_a_moment_may_have_a_zone_and_goes_before_the_time() -> None:
    header = stated(AcquisitionDateTime="20240115101112.25+0100", AcquisitionTime="080000")

    assert moments_of(header) is not None
    assert moments_of(header)[0] % 86_400 == pytest.approx(36672.25)


def test_an_object_without_times_has_none() -> None:
    assert moments_of(stated(ContentTime="101112")) is None


def test_times_go_on_past_midnight() -> None:
    assert unwrapped(np.array([86_390.0, 86_399.0, 2.0])).tolist() == [86_390.0, 86_399.0, 86_402.0]
    assert unwrapped(np.array([10.0, 2.0])).tolist() == [10.0, 2.0]
