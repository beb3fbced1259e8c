"""Which role a NIfTI file takes, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infarct_like import ROLES
from willis_service.application.image_roles import KNOWN_ROLES, by_role, role_named


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("sub-stroke0001_ses-01_space-ncct_tmax.nii.gz", "tmax"),
        ("sub-stroke0001_ses-01_ncct.nii.gz", "ncct"),
        ("sub-stroke0001_ses-01_space-ncct_cta.nii.gz", "cta"),
        ("sub-stroke0001_ses-01_ctp.json", "ctp"),
        ("CBF.nii", "cbf"),
        ("ncct_ctp.nii", "ctp"),
        ("sub-stroke0001_ses-02_space-ncct_lesion-msk.nii.gz", None),
        ("tmaximum.nii", None),
        ("scan.nii.gz", None),
    ],
)
def test_the_end_of_the_name_says_what_a_file_shows(name: str, role: str | None) -> None:
    assert role_named(name, KNOWN_ROLES) == role


def names(*files: str) -> dict[str, list[str]]:
    found = by_role([Path(file) for file in files], ROLES)
    return {role: [path.name for path in paths] for role, paths in found.items()}


def test_images_on_the_native_grid_go_first_but_for_the_native_scan_itself() -> None:
    raw, moved = "a_cta.nii.gz", "a_space-ncct_cta.nii.gz"
    native, other = "a_ncct.nii.gz", "a_space-cta_ncct.nii.gz"

    assert names(raw, moved, native, other) == {"cta": [moved], "ncct": [native]}


def test_a_sidecar_goes_with_its_image() -> None:
    assert names("a_ctp.nii.gz", "b_ctp.json", "a_ctp.json") == {
        "ctp": ["a_ctp.nii.gz", "a_ctp.json"]
    }
    assert names("a_ctp.nii", "1_ctp.json") == {"ctp": ["a_ctp.nii", "1_ctp.json"]}


def test_what_has_no_role_is_left_out() -> None:
    assert names("a_ctp.json", "a_adc.nii.gz", "notes_ctp.txt") == {}
