from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.datasets.published_trees import (
    ORIENTATIONS,
    atlas_native,
    atlas_session,
    atlas_v2,
    bids,
    curated,
    left_lesion,
    write,
)
from willis_models.errors import GeometryError, InputError
from willis_training.datasets.kinds import KINDS, open_data_set
from willis_training.datasets.loading import load_image, load_labels, load_pair


def test_atlas_gives_every_session_with_its_site_and_keeps_testing_unlabelled(
    tmp_path: Path,
) -> None:
    subjects = open_data_set("atlas-v2", atlas_v2(tmp_path)).subjects()
    assert len(subjects) == 11
    by_id = {subject.subject_id: subject for subject in subjects}
    first, again = by_id["sub-r001s001_ses-1"], by_id["sub-r001s001_ses-2"]
    assert (first.site, first.facts["part"]) == ("R001", "training")
    assert first.person_id == again.person_id == "sub-r001s001"
    assert set(first.images) == {"t1w"} and first.label is not None
    hidden = by_id["sub-r052s001_ses-1"]
    assert hidden.label is None and hidden.label_is_hidden


@pytest.mark.parametrize("below", ["", "Training", "Training/R002"])
def test_atlas_opens_at_any_level(tmp_path: Path, below: str) -> None:
    subjects = open_data_set("atlas-v2", atlas_v2(tmp_path) / below).subjects()
    assert "sub-r002s003_ses-1" in {subject.subject_id for subject in subjects}
    assert all(s.site == f"R{s.subject_id[5:8]}" for s in subjects)


def test_a_training_mask_that_is_missing_is_not_taken_for_a_hidden_one(tmp_path: Path) -> None:
    atlas_session(tmp_path / "testing_ground" / "Training" / "R001", "r001s001", 1, 1, masked=False)
    (subject,) = open_data_set("atlas-v2", tmp_path / "testing_ground" / "Training").subjects()
    assert not subject.label_is_hidden


def test_the_package_of_the_challenge_has_no_site_folders_but_sites(tmp_path: Path) -> None:
    atlas_session(tmp_path / "train" / "derivatives" / "ATLAS", "r009s004", 1, 1)
    (subject,) = open_data_set("atlas-v2", tmp_path).subjects()
    assert subject.site == "R009" and subject.label is not None


def test_native_atlas_pairs_brain_and_mask_and_knows_the_days_since_the_stroke(
    tmp_path: Path,
) -> None:
    subjects = open_data_set("atlas-v2", atlas_native(tmp_path)).subjects()
    assert [s.facts.get("days_post_stroke") for s in subjects] == [201, 202, 203, None]
    assert all("desc-brain" in s.images["t1w"].name and s.label for s in subjects)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_lesion_on_the_left_stays_left_in_every_stored_orientation(
    tmp_path: Path, orientation: str
) -> None:
    subjects = open_data_set("atlas-v2", atlas_native(tmp_path)).subjects()
    subject = subjects[ORIENTATIONS.index(orientation)]
    image, labels = load_pair(subject, "t1w")
    places = labels.grid.to_world(np.argwhere(labels.voxels > 0))
    assert (places[:, 0] > 0).all(), "LPS: +x is the patient's left"
    assert len(places) == 27
    # Axes are turned to (z, y, x) with x to the left: the lesion lies in the upper half of x.
    assert np.argwhere(labels.voxels)[:, 2].min() >= labels.voxels.shape[2] / 2
    assert image.grid.spacing_mm == pytest.approx((2.0, 1.2, 1.0))
    straight = load_image(subjects[0], "t1w").voxels.shape
    assert image.voxels.shape == straight == (10, 14, 12)


def test_a_derivative_of_ones_own_takes_images_from_the_raw_set(tmp_path: Path) -> None:
    data_set = open_data_set("bids", bids(tmp_path / "study"))
    first, second = data_set.subjects()
    assert data_set.label_names == {0: "background", 1: "infarct"}
    assert (first.subject_id, first.site, second.site) == ("sub-01_ses-1", "north", "south")
    assert set(first.images) == {"t1w", "flair"}
    assert first.facts == {"age": 61.0, "thickness_mm": 1.5}, "no name of a patient among the facts"


def test_a_derivative_opens_by_itself_and_without_sessions(tmp_path: Path) -> None:
    root = bids(tmp_path / "study", sessions=False)
    (first, _) = open_data_set("bids", root / "derivatives" / "lesions").subjects()
    assert first.subject_id == first.person_id == "sub-01"
    assert set(first.images) == {"t1w", "flair"}


def test_a_derivative_with_an_image_of_its_own_comes_before_the_raw_one(tmp_path: Path) -> None:
    root = bids(tmp_path / "study")
    own = root / "derivatives/lesions/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"
    write(own, np.ones((4, 4, 4), dtype=np.float32))
    (first, _) = open_data_set("bids", root).subjects()
    assert first.images["t1w"] == own


def test_an_image_in_another_space_than_the_mask_is_not_paired_with_it(tmp_path: Path) -> None:
    anat = tmp_path / "sub-01" / "anat"
    write(anat / "sub-01_space-MNI_mask.nii.gz", left_lesion())
    write(anat / "sub-01_space-orig_T1w.nii.gz", left_lesion())
    (subject,) = open_data_set("bids", tmp_path).subjects()
    assert subject.images == {}


def test_several_derivatives_with_labels_have_to_be_told_apart(tmp_path: Path) -> None:
    root = bids(tmp_path / "study")
    write(root / "derivatives/other/sub-01/anat/sub-01_mask.nii.gz", left_lesion())
    with pytest.raises(ValueError, match=r"lesions, other"):
        open_data_set("bids", root)


def test_the_curated_archive_gives_the_stripped_variant_series_by_series(tmp_path: Path) -> None:
    root = curated(tmp_path / "archive")
    data_set = open_data_set("curated", root)
    first, second = data_set.subjects()
    assert first.subject_id == "sub-abc_ses-x1_acq-s1" and first.person_id == second.person_id
    assert "derivatives/stripped" in first.images["ncct"].as_posix()
    assert first.images["ncct"].name.replace("_ct", "_dseg") == first.label.name  # type: ignore[union-attr]
    assert first.facts == {
        "age_band": "70-74",
        "sex": "M",
        "thickness_mm": 5.0,
        "tilt_deg": 18.0,
    }
    assert data_set.label_names[3] == "I left"
    raw = open_data_set("curated", root / "derivatives" / "raw").subjects()
    assert "derivatives/raw" in raw[0].images["ncct"].as_posix()


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_without_the_data_set_says_what_to_give(tmp_path: Path, kind: str) -> None:
    with pytest.raises(FileNotFoundError, match=r"[Gg]ive"):
        open_data_set(kind, tmp_path)


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="atlas-v2, curated, bids"):
        open_data_set("isles", tmp_path)


def test_labels_that_were_rounded_are_read_and_fractions_refused(tmp_path: Path) -> None:
    nearly = write(tmp_path / "nearly.nii.gz", left_lesion().astype(np.float32) * 0.99999)
    assert set(np.unique(load_labels(nearly).voxels)) == {0, 1}
    half = write(tmp_path / "half.nii.gz", left_lesion().astype(np.float32) / 2)
    with pytest.raises(InputError, match="no whole numbers"):
        load_labels(half)


def test_image_and_labels_on_different_grids_are_never_made_to_match(tmp_path: Path) -> None:
    anat = atlas_session(tmp_path / "R001", "r001s001", 1, 1)
    mask = next(anat.glob("*mask.nii.gz"))
    write(mask, left_lesion(), spacing_mm=(1.0, 1.0, 1.1))
    (subject,) = open_data_set("atlas-v2", tmp_path).subjects()
    with pytest.raises(GeometryError, match="mm apart"):
        load_pair(subject, "t1w")
