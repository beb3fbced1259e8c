from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.unit.training.datasets.published_trees import (
    MNI,
    SHAPE_XYZ,
    atlas_native,
    atlas_v2,
    head,
    left_lesion,
    write,
)
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.datasets import survey as survey_module
from willis_training.datasets.card import card_markdown, data_card
from willis_training.datasets.examine import FaultCode
from willis_training.datasets.kinds import open_data_set
from willis_training.datasets.survey import survey

SUBJECT = "sub-r002s002_ses-1"


def image_of(atlas: Path, subject: str = SUBJECT) -> Path:
    return next(atlas.rglob(f"{subject}_{MNI}_T1w.nii.gz"))


def mask_of(atlas: Path, subject: str = SUBJECT) -> Path:
    return next(atlas.rglob(f"{subject}_*mask.nii.gz"))


def truncate(atlas: Path) -> Path:
    path = image_of(atlas)
    path.write_bytes(path.read_bytes()[:2000])
    return path


def no_nifti(atlas: Path) -> Path:
    path = mask_of(atlas)
    path.write_bytes(gzip.compress(b"not an image"))
    return path


def four_axes(atlas: Path) -> Path:
    return write(image_of(atlas), np.stack([head(1), head(2)], axis=-1))


def singular(atlas: Path) -> Path:
    path = image_of(atlas)
    image = nib.Nifti1Image(head(77), None)
    image.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), code=1)
    nib.save(image, path)
    return path


def with_nan(atlas: Path) -> Path:
    voxels = head(77)
    voxels[3, 3, 3] = np.nan
    return write(image_of(atlas), voxels)


def constant(atlas: Path) -> Path:
    return write(image_of(atlas), np.zeros(SHAPE_XYZ, dtype=np.int16))


def no_lesion(atlas: Path) -> Path:
    return write(mask_of(atlas), np.zeros(SHAPE_XYZ, dtype=np.uint8))


def interpolated(atlas: Path) -> Path:
    return write(mask_of(atlas), left_lesion().astype(np.float32) * 0.4)


def unexpected(atlas: Path) -> Path:
    return write(mask_of(atlas), left_lesion() * 7)


def other_shape(atlas: Path) -> Path:
    return write(mask_of(atlas), left_lesion()[:, :-1])


def shifted(atlas: Path) -> Path:
    path = mask_of(atlas)
    affine = nib.load(path).affine.copy()
    affine[0, 3] += 2.0
    nib.save(nib.Nifti1Image(left_lesion(), affine), path)
    return path


def no_image(atlas: Path) -> Path:
    image_of(atlas).unlink()
    return mask_of(atlas)


def no_mask(atlas: Path) -> Path:
    mask_of(atlas).unlink()
    return image_of(atlas)


BROKEN: dict[FaultCode, tuple[Callable[[Path], Path], ...]] = {
    FaultCode.UNREADABLE: (truncate, no_nifti),
    FaultCode.NOT_THREE_DIMENSIONAL: (four_axes,),
    FaultCode.SINGULAR_AFFINE: (singular,),
    FaultCode.NOT_FINITE: (with_nan,),
    FaultCode.IMAGE_EMPTY: (constant,),
    FaultCode.LABEL_EMPTY: (no_lesion,),
    FaultCode.LABEL_NOT_INTEGER: (interpolated,),
    FaultCode.LABEL_UNEXPECTED: (unexpected,),
    FaultCode.SHAPE_MISMATCH: (other_shape,),
    FaultCode.AFFINE_MISMATCH: (shifted,),
    FaultCode.MISSING_IMAGE: (no_image,),
    FaultCode.MISSING_LABEL: (no_mask,),
}


def test_a_sound_data_set_has_no_fault(tmp_path: Path) -> None:
    assert survey(open_data_set("atlas-v2", atlas_v2(tmp_path))).faults() == []
    assert survey(open_data_set("atlas-v2", atlas_native(tmp_path / "native"))).faults() == []


@pytest.mark.parametrize(
    ("code", "break_it"), [(code, way) for code, ways in BROKEN.items() for way in ways]
)
def test_each_kind_of_fault_is_named_with_its_file(
    tmp_path: Path, code: FaultCode, break_it: Callable[[Path], Path]
) -> None:
    atlas = atlas_v2(tmp_path, sites=2, subjects=2)
    faulty = break_it(atlas)
    (fault,) = survey(open_data_set("atlas-v2", atlas)).faults()
    assert (fault.code, fault.subject_id, fault.file) == (code, SUBJECT, str(faulty))


def test_one_id_in_two_sites_and_one_image_under_two_ids_are_leaks(tmp_path: Path) -> None:
    atlas = atlas_v2(tmp_path, sites=2, subjects=2)
    training = atlas / "Training"
    shutil.copytree(training / "R001/sub-r001s002", training / "R002/sub-r001s002")
    shutil.copy(image_of(atlas, "sub-r002s001_ses-1"), image_of(atlas, SUBJECT))
    faults = survey(open_data_set("atlas-v2", atlas)).faults()
    assert [(f.code, f.subject_id) for f in faults] == [
        (FaultCode.DUPLICATE_SUBJECT, "sub-r001s002_ses-1"),
        (FaultCode.DUPLICATE_IMAGE, SUBJECT),
    ]


def test_two_sessions_of_one_person_may_share_an_image(tmp_path: Path) -> None:
    atlas = atlas_v2(tmp_path)
    shutil.copy(image_of(atlas, "sub-r001s001_ses-1"), image_of(atlas, "sub-r001s001_ses-2"))
    assert survey(open_data_set("atlas-v2", atlas)).faults() == []


def test_a_second_survey_reads_only_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas, journal = atlas_v2(tmp_path, sites=2, subjects=2), tmp_path / "journal.jsonl"
    data_set = open_data_set("atlas-v2", atlas)
    first = survey(data_set, journal=journal)
    with journal.open("a") as file:
        file.write('{"key": "cut off by a cra')
    no_lesion(atlas)
    looked: list[str] = []
    really = survey_module.examine_subject
    monkeypatch.setattr(
        survey_module,
        "examine_subject",
        lambda subject, label_names: (
            looked.append(subject.subject_id) or really(subject, label_names)
        ),
    )
    second = survey(data_set, journal=journal)
    assert looked == [SUBJECT]
    assert [item.subject_id for item in second.examined] == [
        item.subject_id for item in first.examined
    ]
    assert [fault.code for fault in second.faults()] == [FaultCode.LABEL_EMPTY]


def test_several_processes_find_the_same(tmp_path: Path) -> None:
    data_set = open_data_set("atlas-v2", atlas_v2(tmp_path, sites=1, subjects=2))
    assert survey(data_set, workers=2) == survey(data_set)


def test_the_card_counts_what_is_there(tmp_path: Path) -> None:
    atlas = atlas_v2(tmp_path)
    no_lesion(atlas)
    card = data_card(survey(open_data_set("atlas-v2", atlas)))
    assert (card.examinations, card.persons, card.labelled, card.hidden_labels) == (11, 10, 10, 1)
    assert (card.empty_labels, card.faults) == (1, {"LABEL_EMPTY": 1})
    assert {site.site: site.examinations for site in card.sites} == {
        "R001": 4,
        "R002": 3,
        "R003": 3,
        "R052": 1,
    }
    # Lesions of 2, 3 and 4 voxels times 9 mm3 for each site, without the emptied one.
    assert card.lesion_ml_percentiles[50] == pytest.approx(0.027)
    assert card.labels[0].maps == 9


def test_the_card_tells_stored_orientations_and_true_spacings(tmp_path: Path) -> None:
    card = data_card(survey(open_data_set("atlas-v2", atlas_native(tmp_path))))
    (role,) = card.roles
    assert role.orientations == {"RAS": 1, "LAS": 1, "PSR": 1, "PSL": 1}
    assert role.spacing_median_mm == (2.0, 1.2, 1.0)


def test_the_page_carries_the_statement_and_every_table(tmp_path: Path) -> None:
    card = data_card(survey(open_data_set("atlas-v2", atlas_v2(tmp_path))))
    page = card_markdown(card, "card.png")
    assert INTENDED_USE_STATEMENT in page
    assert "| R001 | 4 |" in page and "12 x 14 x 10 (11)" in page and "card.png" in page
    assert json.loads(card.model_dump_json())["intended_use"] == INTENDED_USE_STATEMENT
