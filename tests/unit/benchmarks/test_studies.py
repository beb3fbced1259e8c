"""What is measured can be made without anything but the shipped study."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread

from benchmarks.places import Places
from benchmarks.studies import SLICES, many_images, thin_study
from willis_service.adapters.dicom.reader import read_series


@pytest.mark.slow
def test_without_prepared_heads_the_thin_study_is_made_of_the_shipped_one(tmp_path, demo_study):
    files = thin_study(Places(shared=tmp_path, cache=tmp_path))

    stack = read_series(files).image.stack
    shipped = read_series(sorted(demo_study.glob("*.dcm"))).image.stack
    assert stack.shape == (SLICES, 512, 512)
    np.testing.assert_allclose(stack.origins_lps[[0, -1]], shipped.origins_lps[[0, -1]], atol=1e-4)
    assert files[0].stat().st_size > 2 * 512 * 512


def test_many_images_are_different_instances_of_one_study(tmp_path, demo_study):
    source = sorted(demo_study.glob("*.dcm"))[:2]

    headers = [dcmread(path) for path in many_images(source, 5, tmp_path / "many")]

    assert len({header.SOPInstanceUID for header in headers}) == 5
    assert len({header.StudyInstanceUID for header in headers}) == 1
