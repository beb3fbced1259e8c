"""Headers as the makers write them: where each image's time is found, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.synthetic_ctp import (
    Ctp,
    Stamp,
    at_once,
    by_acquisition_datetime,
    by_acquisition_time,
    by_content_time,
    by_mid_scan_time,
    by_number,
    by_rounded_time,
    by_trigger_time,
    by_volume_time,
    by_whole_seconds,
    in_turn,
    without_time,
)
from willis_models.errors import UnsuitableSeries
from willis_service.adapters.dicom.dynamic_layout import DynamicLayout, lay_out_dynamic
from willis_service.adapters.dicom.files import scan

TENTHS_S, SECOND_S, EXACT_S = 0.1, 1.0, 1e-3
INDIRECT, ROUNDED = "ACQUISITION_TIMES_INDIRECT", "ACQUISITION_TIMES_ROUNDED"


@dataclass(frozen=True)
class Maker:
    """One row of the table in ``docs/reading-dicom.md``."""

    name: str
    stamp: Stamp
    times_s: np.ndarray
    off_s: float = EXACT_S
    said: frozenset[str] = frozenset()


SHUTTLE, VOLUMES = in_turn(step_s=2.9), at_once(step_s=1.7)
MAKERS = (
    Maker("Siemens", by_acquisition_time, SHUTTLE),
    Maker("GE cine", by_mid_scan_time, SHUTTLE),
    Maker("GE, each image", by_whole_seconds, SHUTTLE),
    Maker("Philips", by_acquisition_datetime, SHUTTLE),
    Maker("Philips, older", by_rounded_time, SHUTTLE, SECOND_S, frozenset({ROUNDED})),
    Maker("Canon", by_volume_time, VOLUMES, TENTHS_S),
    Maker("a trigger", by_trigger_time, SHUTTLE),
    Maker("acquisition removed", by_content_time, SHUTTLE, EXACT_S, frozenset({INDIRECT})),
    Maker("all removed", by_number, at_once(step_s=2.0), EXACT_S, frozenset({INDIRECT})),
)


def laid_out(files: list[Path]) -> DynamicLayout:
    (listing,) = scan(files)
    return lay_out_dynamic(listing.headers)


def codes(layout: DynamicLayout) -> set[str]:
    return {item.code for item in layout.items}


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.name)
def test_each_image_has_the_time_that_its_maker_states(maker: Maker, tmp_path: Path) -> None:
    layout = laid_out(Ctp(maker.times_s, stamp=maker.stamp).write(tmp_path))

    np.testing.assert_allclose(layout.times_s, maker.times_s, atol=maker.off_s)
    assert codes(layout) == maker.said


def test_frames_of_one_enhanced_object_have_times_of_their_own(tmp_path: Path) -> None:
    layout = laid_out([Ctp(SHUTTLE).write_enhanced(tmp_path)])

    np.testing.assert_allclose(layout.times_s, SHUTTLE, atol=EXACT_S)
    assert codes(layout) == set()


def test_a_number_alone_is_no_time(tmp_path: Path) -> None:
    with pytest.raises(UnsuitableSeries, match="don't say when"):
        laid_out(Ctp(SHUTTLE, stamp=without_time).write(tmp_path))


def test_times_that_are_whole_and_even_are_not_taken_as_rounded(tmp_path: Path) -> None:
    layout = laid_out(Ctp(at_once(step_s=2.0), stamp=by_rounded_time).write(tmp_path))

    assert codes(layout) == set()
