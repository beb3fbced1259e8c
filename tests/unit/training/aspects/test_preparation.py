"""What a network of one's own is trained on is, bit for bit, what the service would show it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis_models.errors import InputError
from willis_models.imaging.resample import bounding_grid, resample_stack
from willis_models.pipelines.registry import PIPELINES
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_models.volume import Volume
from willis_service.adapters.nifti.reader import read_nifti
from willis_training.aspects.preparation import AspectsPreparation
from willis_training.curation.dicom_ct import read_axial_ct
from willis_training.curation.nifti import encode_nifti
from willis_training.datasets.base import Subject
from willis_training.fitting.samples import CaseStore, prepare_cases


class One:
    """A data set of one subject."""

    name = "one"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.label_names = {0: "background", 1: "tissue"}

    def subjects(self) -> list[Subject]:
        return [self._subject]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return latest_bundle("aspects")


@pytest.fixture(scope="module")
def head(demo_study: Path) -> Volume:
    """The shipped, simulated head on 3-mm voxels, in whole HU."""
    stack = read_axial_ct(demo_study).stack
    volume = resample_stack(stack, bounding_grid(stack, 3.0))
    return volume.with_voxels(np.rint(volume.voxels).astype(np.int16))


def written(folder: Path, image: Volume, turn: tuple[str, str, str] = ("L", "P", "S")) -> Subject:
    """The image as a NIfTI file whose axes run in the named directions; brain tissue labelled."""
    labels = image.with_voxels(((image.voxels > 20) & (image.voxels < 60)).astype(np.uint8))
    paths = []
    for name, volume in (("ct", image), ("label", labels)):
        stored = nib.Nifti1Image.from_bytes(_unzipped(encode_nifti(volume)))
        axes = nib.orientations.axcodes2ornt(turn)
        now = nib.orientations.io_orientation(stored.affine)
        path = folder / f"{name}.nii.gz"
        nib.save(stored.as_reoriented(nib.orientations.ornt_transform(now, axes)), path)
        paths.append(path)
    return Subject("sub-1", None, {"ncct": paths[0]}, paths[1])


def _unzipped(content: bytes) -> bytes:
    import gzip

    return gzip.decompress(content)


@pytest.fixture(scope="module")
def store(
    tmp_path_factory: pytest.TempPathFactory, bundle: Bundle, head: Volume
) -> tuple[Subject, CaseStore]:
    folder = tmp_path_factory.mktemp("own")
    subject = written(folder, head)
    return subject, prepare_cases(One(subject), AspectsPreparation(bundle), folder / "store")


def test_the_stored_image_is_bit_for_bit_what_the_service_prepares(
    store: tuple[Subject, CaseStore], bundle: Bundle
) -> None:
    subject, filled = store
    case = {"ncct": read_nifti(subject.images["ncct"])}

    served = PIPELINES["aspects"].prepare(case, bundle.manifest, bundle.assets)

    stored = filled.read("sub-1")
    assert np.array_equal(stored.image, served.network_input)
    assert stored.image.dtype == served.network_input.dtype
    assert stored.spacing_mm == (1.5, 1.5, 1.5)


def test_labels_are_carried_to_where_the_image_shows_them(
    store: tuple[Subject, CaseStore],
) -> None:
    stored = store[1].read("sub-1")
    hu = 80.0 * stored.image[0]

    assert stored.labels[(hu > 28) & (hu < 48)].mean() > 0.9
    assert stored.labels[(hu > 0) & (hu < 10)].mean() < 0.2


def test_what_the_service_rejects_is_set_aside(tmp_path: Path, bundle: Bundle) -> None:
    air = Volume(
        np.full((20, 40, 40), -1000, np.int16), np.diag([4.0, 4.0, 4.0, 1.0])[[2, 1, 0, 3]]
    )
    subject = written(tmp_path, air)

    with pytest.raises(InputError):
        AspectsPreparation(bundle)(subject)
    filled = prepare_cases(One(subject), AspectsPreparation(bundle), tmp_path / "store")

    assert filled.cases == ()
    assert "BRAIN" in filled.index.set_aside["sub-1"]


def test_the_digest_is_that_of_what_changes_the_input(bundle: Bundle) -> None:
    manifest = bundle.manifest
    other = {**manifest.parameters["registration"], "iterations": 7}
    changed = manifest.model_copy(
        update={"parameters": {**manifest.parameters, "registration": other}}
    )
    renamed = manifest.model_copy(update={"version": "9.9.9"})

    digests = [
        AspectsPreparation(Bundle(bundle.folder, one)).digest
        for one in (manifest, renamed, changed)
    ]

    assert digests[0] == digests[1] != digests[2]
