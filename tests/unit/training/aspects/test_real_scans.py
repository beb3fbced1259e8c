"""Real scans in the evaluation: reading, placing single slices, comparing, and what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from scipy import ndimage

from willis_models.errors import BrainNotPlausible, NoSuitableSeries
from willis_models.findings import Findings, Rejection, SideScore
from willis_models.pipelines.aspects.features import RegionEvidence
from willis_models.pipelines.aspects.states import RegionState
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_models.runtime.session import open_predictor
from willis_models.volume import SliceStack, Volume
from willis_training.aspects.expert_masks import (
    Counts,
    JudgedSlice,
    RegionOnSlice,
    count,
    side_of,
)
from willis_training.aspects.real_pictures import levels_with_regions
from willis_training.aspects.real_scans import report_real_scans
from willis_training.aspects.real_scans_page import (
    RealPatient,
    _scores,
    real_scans_page,
)
from willis_training.aspects.real_slices_page import _verdict
from willis_training.aspects.single_slice import approximate_hu, read_expert, slice_brain
from willis_training.aspects.slice_placement import PlacedSlice, place_slice
from willis_training.aspects.slice_regions import find_regions, label_dice, template_of
from willis_training.curation.dicom_ct import read_axial_ct

PIXEL_MM = 0.9
TURN_DEG = 12.0
LEVEL_MM = 14.0


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return latest_bundle("aspects")


@pytest.fixture(scope="module")
def template(bundle: Bundle) -> Volume:
    return template_of(bundle.assets, bundle.manifest)


def true_points(size: int = 256) -> np.ndarray:
    """MNI positions (rows, columns, 3) of a slice's pixels: turned, centred, at LEVEL_MM."""
    offset = (np.arange(size) - size / 2) * PIXEL_MM
    x, y = np.meshgrid(offset, offset)
    turn = np.radians(TURN_DEG)
    turned = (x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn) + 18.0)
    return np.stack([*turned, np.full_like(x, LEVEL_MM)], axis=-1)


@pytest.fixture(scope="module")
def template_slice(template: Volume) -> tuple[np.ndarray, np.ndarray]:
    """A plane of the template as a picture of 512 pixels, twice as fine, and its brain."""
    index = np.moveaxis(template.grid.to_index(true_points()), -1, 0)
    hu = ndimage.map_coordinates(template.voxels, index, order=1).astype(np.float32)
    hu = np.kron(hu, np.ones((2, 2), dtype=np.float32))
    return hu, hu > 2.0


@pytest.fixture(scope="module")
def placed(template_slice: tuple[np.ndarray, np.ndarray], template: Volume) -> PlacedSlice:
    return place_slice(*template_slice, template)


def region(label: int, state: str = "unaffected", core: float = 0.0, all_: float = 0.0):
    evidence = RegionEvidence(label, 90, 90, 0, 0, 0, 1.0, 30.0, 31.0, None, None)
    return RegionOnSlice(RegionState(evidence, state, state, 0.5), core, all_)  # type: ignore[arg-type]


def judged(*regions: RegionOnSlice, **changes) -> JudgedSlice:
    blank = np.zeros((4, 4), dtype=bool)
    eye = np.eye(3)
    stack = SliceStack(np.zeros((5, 4, 4)), np.arange(5)[:, None] * eye[2], eye[0], eye[1])
    fields = {
        "name": "one",
        "grey": np.zeros((4, 4), dtype=np.float32),
        "core": blank,
        "ischaemic": blank,
        "placed": PlacedSlice(stack, 10.0, 0.0, 0.8),
        "found": None,
        "regions": regions,
        "grey_quantiles": (5.0, 31.0, 45.0),
        "expert_side": "left",
        "model_side": "left",
        "darker_side": "left",
    }
    return JudgedSlice(**(fields | changes))


def score(side: str, *affected: str) -> SideScore:
    value = 10 - len(affected)
    return SideScore(
        side=side,  # type: ignore[arg-type]
        score=value,
        lowest=value,
        highest=value,
        affected=affected,
        indeterminate=(),
        not_assessable=(),
    )


def test_a_series_is_ordered_by_position_whatever_its_files_are_called(demo_study, tmp_path):
    for n, path in enumerate(sorted(demo_study.glob("*.dcm"), reverse=True)):
        (tmp_path / f"{(n * 7) % 97:03d}.dcm").symlink_to(path)

    stack = read_axial_ct(tmp_path).stack

    assert (stack.slice_steps_mm > 0).all()
    np.testing.assert_array_equal(stack.voxels, read_axial_ct(demo_study).stack.voxels)


def test_padding_below_air_becomes_air(demo_study, tmp_path):
    for path in sorted(demo_study.glob("*.dcm"))[:2]:
        dataset = dcmread(path)
        dataset.decompress()
        pixels = dataset.pixel_array.copy()
        stored = (-1500.0 - float(dataset.RescaleIntercept)) / float(dataset.RescaleSlope)
        assert stored >= np.iinfo(pixels.dtype).min
        pixels[:10] = int(stored)
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(tmp_path / path.name)

    voxels = read_axial_ct(tmp_path).stack.voxels

    assert voxels.min() == -1024.0
    assert (voxels[:, :10] == -1024.0).all()


def test_a_folder_without_one_series_is_refused_by_name(tmp_path):
    with pytest.raises(NoSuitableSeries, match=str(tmp_path)):
        read_axial_ct(tmp_path)


def test_the_tilted_patient_is_read_as_the_scanner_left_it(shared):
    image = read_axial_ct(shared / "samples" / "ncct_ge_tilt")

    assert image.stack.shape == (28, 512, 512)
    assert image.stack.tilt_deg == pytest.approx(18.5, abs=0.01)
    assert image.stack.voxels.min() == -1024.0
    assert image.acquisition.kvp == 120.0


def ring(open_in_front: bool) -> np.ndarray:
    """Skull of grey 255 around brain of grey 32, on air; at the skull base it is open."""
    y, x = np.mgrid[:256, :256] - 128.0
    radius = np.hypot(x / 0.8, y)
    grey = np.where(radius < 100, 255.0, 0.0)
    grey[radius < 90] = 32.0
    if open_in_front:
        grey[(y < 0) & (np.abs(x) < 6) & (radius >= 90)] = 0.0
    return grey.astype(np.float32)


@pytest.mark.parametrize("open_in_front", [False, True])
def test_the_brain_is_what_the_skull_surrounds_even_where_it_is_open(open_in_front):
    brain = slice_brain(ring(open_in_front))

    truth = ring(False) == 32.0
    assert 2 * (brain & truth).sum() / (brain.sum() + truth.sum()) > 0.96


def test_a_picture_without_a_skull_has_no_brain():
    with pytest.raises(BrainNotPlausible):
        slice_brain(np.full((256, 256), 32.0, dtype=np.float32))


def test_grey_is_taken_as_hu_and_black_as_air():
    hu = approximate_hu(ring(False))

    assert hu[128, 128] == 32.0
    assert hu[0, 0] == -1024.0


def test_the_experts_colours_are_core_and_penumbra(tmp_path):
    colours = np.zeros((2, 2, 3), dtype=np.uint8)
    colours[0, 0, 0] = colours[1, 1, 1] = 255
    Image.fromarray(colours).save(tmp_path / "mask.png")

    core, penumbra = read_expert(tmp_path / "mask.png")

    assert np.argwhere(core).tolist() == [[0, 0]]
    assert np.argwhere(penumbra).tolist() == [[1, 1]]


def test_a_plane_of_the_template_is_found_where_it_was_cut(placed, template_slice):
    _, brain = template_slice
    pixels = np.argwhere(brain)[::997]
    index = np.column_stack([np.full(len(pixels), placed.middle), pixels]).astype(float)
    truth = true_points()[pixels[:, 0] // 2, pixels[:, 1] // 2]

    errors_mm = np.linalg.norm(placed.stack.to_world(index) - truth, axis=1)

    assert abs(placed.level_mm - LEVEL_MM) <= 4.0
    assert np.median(errors_mm) < 4.0
    assert placed.agreement > 0.9


def test_regions_on_a_plane_of_the_template_are_the_atlas_s(placed, template_slice, bundle):
    found = find_regions(
        placed, template_slice[1], bundle.manifest, bundle.assets, open_predictor(bundle, threads=1)
    )

    assert found.atlas_dice is not None and found.atlas_dice > 0.7
    assert found.labels.shape == template_slice[0].shape
    middle = [s for s in found.states if s.state != "not_assessable"]
    assert len(middle) >= 8
    assert max(abs(s.evidence.difference_hu or 0.0) for s in middle) < 2.0


def test_dice_of_nothing_with_nothing_is_not_a_figure():
    nothing = np.zeros((2, 2), dtype=np.uint8)
    labels = np.array([[1, 2], [0, 0]], dtype=np.uint8)

    assert label_dice(nothing, nothing) is None
    assert label_dice(labels, labels) == 1.0
    assert label_dice(labels, np.where(labels == 2, 3, labels).astype(np.uint8)) == 0.5


def test_the_side_of_a_mask_is_the_patients(placed):
    x = placed.stack.to_world(
        np.stack(np.meshgrid([placed.middle], range(512), range(512), indexing="ij"), axis=-1)[
            0
        ].astype(float)
    )[..., 0]

    assert side_of((x > 5) & (x < 40), placed) == "left"
    assert side_of((x < -5) & (x > -40), placed) == "right"
    assert side_of(np.abs(x) < 40, placed) == "both"


def test_only_assessable_regions_are_counted_against_a_fifth_of_cover():
    slices = [
        judged(
            region(1, "affected", all_=0.5),
            region(2, "unaffected", all_=0.2),
            region(3, "affected", all_=0.19),
            region(4, "unaffected"),
            region(5, "not_assessable", all_=0.9),
        )
    ]

    found = count(slices, lambda r: r.ischaemic_share, lambda item: item.state)

    assert found == Counts(hits=1, affected=2, rejections=1, unaffected=2)


def test_levels_are_spread_over_the_slices_that_hold_regions():
    labels = np.zeros((20, 8, 8), dtype=np.uint8)
    labels[5:15] = 1

    assert levels_with_regions(labels) == [5, 7, 9, 10, 12, 14]
    assert levels_with_regions(labels[4:8]) == [1, 2, 3]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (Counts(6, 10, 9, 10), "more often inside"),
        (Counts(1, 10, 9, 10), "no better than chance"),
        (Counts(0, 0, 9, 10), "nothing to compare"),
    ],
)
def test_the_verdict_follows_the_counts(counts, said):
    assert said in _verdict(counts)


def findings(side: str | None, *scores: SideScore) -> Findings:
    selection = {"side": side, "how": "How."}
    return Findings(
        pipeline="aspects",
        status="succeeded",
        scores=scores,
        side_selection=selection,  # type: ignore[arg-type]
    )


def test_a_wrong_side_and_unexplained_calls_are_said_plainly():
    wrong = _scores(findings("right", score("left"), score("right", "M4")))
    right = _scores(findings("left", score("left", "M2", "M1"), score("right")))

    assert "wrong one" in wrong and "M4 right" in wrong.splitlines()[-1]
    assert "side of the visible hypodensity" in right
    assert right.splitlines()[-1].endswith(": M1 left.")
    assert "No region was called" in _scores(findings(None, score("left"), score("right")))


def test_a_refused_patient_has_a_reason_and_no_scores_on_the_page(bundle):
    refused = Findings(
        pipeline="aspects",
        status="rejected",
        rejection=Rejection(code="REGISTRATION_FAILED", message="It could not be aligned."),
    )
    patient = RealPatient(judged().placed.stack, refused)

    page = real_scans_page(bundle.manifest, patient, [], "a.png", "b.png")

    assert "**Refused**: `REGISTRATION_FAILED`" in page
    assert "images/a.png" not in page
    assert bundle.manifest.weights_sha256[:16] in page


def test_a_missing_sample_is_named(tmp_path, bundle):
    with pytest.raises(FileNotFoundError, match="ncct_ge_tilt"):
        report_real_scans(tmp_path, bundle, tmp_path)


@pytest.mark.slow
def test_the_report_is_written_from_the_real_samples(shared, tmp_path, bundle):
    samples = shared / "samples"
    data = tmp_path / "samples"
    for kind in ("images", "masks"):
        folder = data / "ncct_penumbra_slices" / kind
        folder.mkdir(parents=True)
        name = "10439.png"
        (folder / name).symlink_to(samples / "ncct_penumbra_slices" / kind / name)
    (data / "ncct_ge_tilt").symlink_to(samples / "ncct_ge_tilt")

    report_real_scans(tmp_path, bundle, tmp_path / "docs")

    page = (tmp_path / "docs" / "real-scans.md").read_text()
    assert "| 10439 | right |" in page
    assert "| M1 left |" in page
    for picture in Path(tmp_path / "docs" / "images").iterdir():
        with Image.open(picture) as image:
            assert min(image.size) > 300
            assert f"images/{picture.name}" in page
    assert len(list((tmp_path / "docs" / "images").iterdir())) == 2
