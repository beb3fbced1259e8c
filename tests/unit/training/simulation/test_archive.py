"""The simulated archive: a DICOMDIR that others read, and outlines drawn as planned."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from scipy import ndimage

from tests.unit.training.curation.archive.small_archive import PLAN, simple_head
from willis_training.curation.overlays import overlay_planes
from willis_training.simulation.archive.drawing import Hand, draw_outlines
from willis_training.simulation.archive.heads import Deformation, Protocol, scan_deformed
from willis_training.simulation.archive.kinds import DOSE, LOCALIZER, MIXTURE, OUTLINED
from willis_training.simulation.archive.write import ArchivePlan, write_archive

SMALL = ArchivePlan(outlined=2, mixture=((LOCALIZER, 3), (DOSE, 2)), protocol=Protocol(4, 20.0, 40))


def test_the_full_archive_has_sixty_series_of_which_twelve_are_outlined() -> None:
    assert OUTLINED == 12 and OUTLINED + sum(count for _, count in MIXTURE) == 60
    assert PLAN.kept + sum(PLAN.reasons.values()) == 60


def test_the_dicomdir_is_one_that_pydicom_walks(tmp_path: Path) -> None:
    written = write_archive(simple_head(), SMALL, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        files = FileSet(tmp_path / "DICOMDIR")
        listed = {Path(instance.path) for instance in files}
        series = set(files.find_values("SeriesInstanceUID"))
        # FileSet leaves its own temporary folder to the garbage collector, which complains.
        del files
        gc.collect()
    on_disk = {path for path in tmp_path.rglob("IM*") if path.is_file()}
    assert listed == on_disk and len(on_disk) == 2 * 4 + 3 * 5 - 3 * 3 + 2
    assert len(series) == 7 and set(written.truth) < series


def test_every_file_is_another_instance_and_says_that_it_is_simulated(tmp_path: Path) -> None:
    write_archive(simple_head(), SMALL, tmp_path)
    headers = [dcmread(path, stop_before_pixels=True) for path in tmp_path.rglob("IM*")]
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)
    assert {header.QualityControlSubject for header in headers} == {"YES"}


def test_the_same_plan_writes_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        write_archive(simple_head(), SMALL, folder)
    files = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.is_file()]
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files)


def test_the_drawn_outlines_lie_on_the_true_regions_with_gaps(tmp_path: Path) -> None:
    written = write_archive(simple_head(), SMALL, tmp_path)
    planes = [
        (dcmread(path).SeriesInstanceUID, plane)
        for path in sorted(tmp_path.rglob("IM*"))
        for plane in overlay_planes(dcmread(path))
    ]
    assert {uid for uid, _ in planes} == set(written.truth)
    assert {plane.name for _, plane in planes} >= {"C L", "C R", "M1 L"}


def test_a_steady_hand_draws_the_edge_of_each_region_and_nothing_else() -> None:
    regions = np.zeros((60, 60), dtype=np.uint8)
    regions[10:30, 10:30], regions[35:50, 35:50] = 3, 14
    steady = Hand(gaps=0, shaken_share=0.0, specks=0, forgotten_share=0.0)
    drawn = draw_outlines(regions, 1.0, steady, np.random.default_rng(0))
    assert [name for name, _ in drawn] == ["I L", "IC R"]
    area = regions == 3
    np.testing.assert_array_equal(drawn[0][1], area & ~ndimage.binary_erosion(area))


def test_without_deformation_the_scan_shows_the_base_head_and_its_regions() -> None:
    base = simple_head()
    still = Deformation(0.0, 0.0, 0.0, 30.0)
    scan = scan_deformed(base, still, Protocol(9, 10.0, 64, noise_hu=0.0), np.random.default_rng(0))
    index = np.moveaxis(np.indices(scan.stack.shape), 0, -1).astype(float)
    world = scan.stack.to_world(index)
    for label in (1, 11):
        centre = world[scan.regions == label].mean(axis=0)
        truth = base.hu.grid.to_world(np.argwhere(base.regions[label - 1] > 0).mean(axis=0))
        np.testing.assert_allclose(centre, truth, atol=3.0)
    assert np.median(scan.stack.voxels[scan.regions > 0]) == pytest.approx(33, abs=1)
