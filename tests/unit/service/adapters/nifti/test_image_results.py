"""Results go back to the voxels of the file that they were made of, in any orientation."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.infarct_findings import CENTRE_LPS_MM, infarct_analysis
from tests.unit.service.adapters.nifti.test_nifti_reader import ORIENTATIONS, write_head
from willis_models.pipelines.base import Analysis
from willis_service.adapters.nifti.image_results import write_images
from willis_service.adapters.nifti.reader import read_nifti
from willis_service.domain.job import NIFTI_MAPS, ResultKind


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_left_lesion_is_on_the_left_in_every_file(tmp_path: Path, orientation: str) -> None:
    source = write_head(tmp_path, orientation)
    analysis = infarct_analysis(read_nifti(source).stack)

    kinds = write_images(analysis, tmp_path, source)

    assert kinds == (ResultKind.LABELS, ResultKind.OVERLAYS, *NIFTI_MAPS.values())
    for kind in kinds:
        image = nib.load(tmp_path / kind)
        values = np.asarray(image.dataobj)
        where = values > 6 if kind is ResultKind.TMAX_NIFTI else values > 0
        if kind in (ResultKind.LABELS, ResultKind.OVERLAYS, ResultKind.TMAX_NIFTI):
            centre_ras = (image.affine @ [*np.argwhere(where).mean(axis=0), 1.0])[:3]
            assert centre_ras[0] == pytest.approx(-CENTRE_LPS_MM[0], abs=3.0)


def test_maps_keep_their_values_and_say_nothing_outside(tmp_path: Path) -> None:
    source = write_head(tmp_path)
    analysis = infarct_analysis(read_nifti(source).stack)
    write_images(analysis, tmp_path, source)

    written = np.asarray(nib.load(tmp_path / ResultKind.CBF_NIFTI).dataobj)

    values = analysis.maps[0].values
    assert written.dtype == np.float32
    assert np.isnan(written).sum() == np.isnan(values).sum() > 0
    assert np.nansum(written, dtype=float) == pytest.approx(np.nansum(values, dtype=float))


def test_several_overlays_are_several_volumes(tmp_path: Path) -> None:
    source = write_head(tmp_path)
    shape = read_nifti(source).stack.shape
    layers = tuple(np.full(shape, number, np.uint8) for number in (3, 4))
    analysis = infarct_analysis(read_nifti(source).stack)

    write_images(Analysis(analysis.findings, layers[0], "ctp", layers), tmp_path, source)

    written = np.asarray(nib.load(tmp_path / ResultKind.OVERLAYS).dataobj)
    assert [np.unique(written[..., n]).tolist() for n in (0, 1)] == [[3], [4]]


def test_a_rejected_study_has_no_image(tmp_path: Path) -> None:
    analysis = infarct_analysis(read_nifti(write_head(tmp_path)).stack)

    assert write_images(Analysis(analysis.findings), tmp_path, tmp_path / "absent") == ()
