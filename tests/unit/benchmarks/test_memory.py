"""Each step has a peak of its own, and a fresh process knows nothing of this one's memory."""

from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks.memory import Meter, in_fresh_process, peak_mb

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/clear_refs"), reason="peaks are read from Linux's /proc"
)


def test_a_later_step_does_not_inherit_the_peak_of_an_earlier_one():
    meter = Meter()
    meter.begin("large")
    np.ones(40_000_000)
    meter.begin("small")
    meter.end()

    large, small = meter.steps

    assert large.peak_mb > small.peak_mb + 200


def test_a_fresh_process_starts_with_its_own_memory():
    held = np.ones(60_000_000)

    assert in_fresh_process(peak_mb) < peak_mb() - 300
    assert held.all()


def test_an_error_in_a_fresh_process_arrives_here():
    with pytest.raises(FileNotFoundError):
        in_fresh_process(peak_mb, "no such process")
