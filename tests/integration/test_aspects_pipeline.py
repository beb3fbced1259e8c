"""The whole core with the shipped bundle: a real patient, a phantom, and NIfTI in any orientation.

Nothing here depends on how well the bundle was trained, but for which side is darker.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis_models.codes import ASPECTS_REGIONS, SIDES, Laterality
from willis_models.findings import Findings
from willis_models.imaging.resample import bounding_grid, resample_stack
from willis_models.pipelines.base import Analysis, Case, InputImage, analyse
from willis_models.pipelines.registry import pipeline_named
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_models.runtime.session import OnnxPredictor, open_predictor
from willis_models.volume import SliceStack
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.reader import read_series
from willis_service.adapters.dicom.series_selection import select_series
from willis_service.adapters.nifti.reader import read_nifti

pytestmark = pytest.mark.slow
KEYS = tuple(f"{side}_{region}" for side in SIDES for region in ASPECTS_REGIONS)
OTHER: dict[Laterality, Laterality] = {"left": "right", "right": "left"}


@cache
def bundle() -> Bundle:
    return latest_bundle("aspects")


@cache
def predictor() -> OnnxPredictor:
    return open_predictor(bundle(), threads=1)


def run(case: Case) -> Analysis:
    pipeline = pipeline_named("aspects")
    return analyse(pipeline, case, bundle().manifest, bundle().assets, predictor())


def read(folder: Path) -> InputImage:
    roles = pipeline_named("aspects").roles
    return read_series(select_series(scan([folder]), roles).chosen["ncct"].listing).image


def mirrored(stack: SliceStack) -> SliceStack:
    """The same slices of a patient who is the mirror image: only the rows' voxels are reversed."""
    return stack.with_voxels(stack.voxels[..., ::-1].copy())


def midline_x_mm(stack: SliceStack) -> float:
    """World x of the head's middle: the mean of what is denser than air."""
    k, j, i = np.nonzero(stack.voxels[::2, ::8, ::8] > -300)
    index = np.stack([2.0 * k, 8.0 * j, 8.0 * i], axis=-1)
    return float(stack.to_world(index)[:, 0].mean())


def centroid_lps(analysis: Analysis, stack: SliceStack, value: int) -> np.ndarray:
    assert analysis.labels is not None
    return stack.to_world(np.argwhere(analysis.labels == value).astype(float)).mean(axis=0)


def values(findings: Findings, key: str) -> dict[str, float | None]:
    return {segment.key: segment.value(key) for segment in findings.segments}


def differences(findings: Findings, side: Laterality) -> dict[str, float]:
    """Mirror minus own HU of each region of a side that could be measured."""
    found = values(findings, "difference_hu")
    return {
        region: difference
        for region in ASPECTS_REGIONS
        if (difference := found[f"{side}_{region}"]) is not None
    }


def darker_side(findings: Findings) -> Laterality:
    means = {side: np.mean(list(differences(findings, side).values())) for side in SIDES}
    return max(SIDES, key=lambda side: means[side])


@pytest.fixture(scope="module")
def ge_image(shared: Path) -> InputImage:
    return read(shared / "samples" / "ncct_ge_tilt")


@pytest.fixture(scope="module")
def ge(ge_image: InputImage) -> Analysis:
    return run({"ncct": ge_image})


def test_the_demo_study_is_analysed_and_its_darker_side_is_the_right_one(
    demo_study: Path,
) -> None:
    analysis = run({"ncct": read(demo_study)})

    assert analysis.findings.status == "succeeded"
    assert darker_side(analysis.findings) == "right"
    assert all(volume for volume in values(analysis.findings, "volume_ml").values())


def test_a_real_tilted_patient_gets_twenty_regions_with_evidence(ge: Analysis) -> None:
    findings = ge.findings

    assert findings.status == "succeeded"
    assert tuple(segment.key for segment in findings.segments) == KEYS
    assert all(0.2 < volume < 60.0 for volume in values(findings, "volume_ml").values())
    assessed = [segment for segment in findings.segments if segment.state != "not_assessable"]
    assert len(assessed) >= 16
    assert all(10 < segment.value("mean_hu") < 50 for segment in assessed)
    assert {"BRAIN_VOLUME", "MIDPLANE_SYMMETRY"} <= {item.code for item in findings.quality}
    assert list(findings.timings_s) == ["check", "prepare", "predict", "interpret"]


def test_left_regions_lie_on_patient_left_and_right_ones_on_patient_right(
    ge: Analysis, ge_image: InputImage
) -> None:
    middle = midline_x_mm(ge_image.stack)

    for n in range(1, 11):
        left, right = (centroid_lps(ge, ge_image.stack, value) for value in (n, n + 10))
        assert left[0] > middle + 2.0
        assert right[0] < middle - 2.0
        assert abs(left[2] - right[2]) < 15.0


def test_upper_regions_lie_above_the_lower_ones(ge: Analysis, ge_image: InputImage) -> None:
    for lower, upper in ((5, 8), (6, 9), (7, 10), (15, 18), (16, 19), (17, 20)):
        below, above = (centroid_lps(ge, ge_image.stack, value) for value in (lower, upper))
        assert above[2] > below[2] + 8.0


def test_the_darker_side_of_a_real_patient_is_the_one_with_the_lesion(ge: Analysis) -> None:
    """Its visible hypodensity is left temporo-occipital."""
    assert darker_side(ge.findings) == "left"


def test_mirroring_the_patient_swaps_the_evidence_of_the_sides(
    ge: Analysis, ge_image: InputImage
) -> None:
    swapped = run({"ncct": InputImage(mirrored(ge_image.stack), ge_image.acquisition)}).findings

    for side in SIDES:
        own, other = differences(ge.findings, side), differences(swapped, OTHER[side])
        shared_regions = sorted(set(own) & set(other))
        assert len(shared_regions) >= 8
        pairs = np.array([(own[name], other[name]) for name in shared_regions])
        assert np.abs(pairs[:, 0] - pairs[:, 1]).mean() < 0.7
    assert darker_side(swapped) == OTHER[darker_side(ge.findings)]


def test_the_same_study_gives_the_same_numbers(ge: Analysis, ge_image: InputImage) -> None:
    again = run({"ncct": ge_image})

    untimed = {"timings_s": {}}
    assert again.findings.model_copy(update=untimed) == ge.findings.model_copy(update=untimed)
    np.testing.assert_array_equal(again.labels, ge.labels)


@pytest.mark.parametrize("study", ["study_mixed_series", "study_tilted"])
def test_a_skull_without_a_brain_is_refused_with_a_code_and_no_numbers(
    shared: Path, study: str
) -> None:
    analysis = run({"ncct": read(shared / "samples" / "ncct_philips_phantom" / study)})

    assert analysis.findings.status == "rejected"
    assert analysis.findings.rejection is not None
    assert analysis.findings.rejection.code in {"BRAIN_NOT_PLAUSIBLE", "REGISTRATION_FAILED"}
    assert analysis.labels is None
    assert not analysis.findings.segments
    assert not analysis.findings.scores


def regular(stack: SliceStack, spacing_mm: float = 2.0) -> nib.Nifti1Image:
    """The head on a regular grid, RAS."""
    volume = resample_stack(stack, bounding_grid(stack, spacing_mm))
    affine_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine_lps[:, [2, 1, 0, 3]]
    voxels = np.rint(volume.voxels.transpose(2, 1, 0)).astype(np.int16)
    return nib.as_closest_canonical(nib.Nifti1Image(voxels, affine_ras))


def turned(image: nib.Nifti1Image, codes: str) -> nib.Nifti1Image:
    """The same image stored with other axes."""
    orientations = nib.orientations
    turn = orientations.ornt_transform(
        orientations.io_orientation(image.affine), orientations.axcodes2ornt(tuple(codes))
    )
    return image.as_reoriented(turn)


@pytest.fixture(scope="module")
def stored(ge_image: InputImage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Findings]:
    folder = tmp_path_factory.mktemp("nifti")
    image = regular(ge_image.stack)
    found = {}
    for codes in ("RAS", "LAS", "PSR", "PSL"):
        path = folder / f"{codes}.nii"
        nib.save(turned(image, codes), path)
        assert nib.aff2axcodes(nib.load(path).affine) == tuple(codes)
        found[codes] = run({"ncct": read_nifti(path)}).findings
    return found


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PSR", "PSL"])
def test_a_nifti_shows_the_same_regions_however_its_axes_are_stored(
    stored: dict[str, Findings], codes: str
) -> None:
    reference, found = stored["RAS"], stored[codes]

    assert found.status == "succeeded"
    expected = values(reference, "volume_ml")
    for key, volume_ml in values(found, "volume_ml").items():
        assert volume_ml == pytest.approx(expected[key], rel=0.1, abs=0.3)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "PSR", "PSL"])
def test_a_lesion_stays_on_its_side_however_the_axes_are_stored(
    stored: dict[str, Findings], ge: Analysis, codes: str
) -> None:
    assert darker_side(stored[codes]) == darker_side(ge.findings) == "left"
