"""Orthanc as the PACS on both ends: it pushes a study, and gets SEG and SR back into that study.

The shipped pipeline on the shipped study: nothing here is a stand-in.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.chaos import evidence
from tests.chaos.rig import SHIPPED_SERVICE, Rig
from tests.chaos.waiting import until
from tests.orthanc import TITLE, Orthanc, running_orthanc
from willis_models.runtime.bundle import SHIPPED_BUNDLES
from willis_service.commands.demo import free_ports

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(shutil.which(tool) is None for tool in ("Orthanc", "echoscu")),
        reason="Orthanc or dcmtk is not installed (apt-get install orthanc dcmtk)",
    ),
]
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REPORTS = ("1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.34")
QUIET_S = 1.0
_RESULT_LIMIT_S = 180.0


@dataclass(frozen=True)
class Round:
    """A study that went from Orthanc to the service, and its results back."""

    orthanc: Orthanc
    rig: Rig
    study: str
    study_instance_uid: str
    images: str
    digests_before: Mapping[str, str]
    confirmed: int

    def results(self) -> tuple[str, str]:
        """Orthanc's names of the SEG and the SR series."""
        found = self.orthanc.series_by_modality(self.study)
        (seg,), (sr,) = found["SEG"], found["SR"]
        return seg, sr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, demo_study: Path) -> Iterator[Round]:
    folder = tmp_path_factory.mktemp("orthanc")
    ports = free_ports(2)
    given = {
        "bundle_root": str(SHIPPED_BUNDLES),
        "require_signature": "true",
        "pipelines": "aspects",
        "threads": "0",
        "quiet_period_s": str(QUIET_S),
        "worker_lost_after_s": "60",
        "allowed_ae_titles": f"{TITLE},PROBE",
        "result_destinations": f"{TITLE}@127.0.0.1:{ports[0]}",
    }
    threads = {"OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    rig = Rig(folder, given, threads, SHIPPED_SERVICE)
    try:
        rig.start()
        with running_orthanc(folder / "pacs", (ports[0], ports[1]), rig.port) as orthanc:
            yield round_trip(orthanc, rig, sorted(demo_study.glob("*.dcm")))
    finally:
        code = rig.stop()
    assert code == 0, rig.tail()


def round_trip(orthanc: Orthanc, rig: Rig, files: list[Path]) -> Round:
    study = orthanc.upload(files)
    (images,) = orthanc.series_by_modality(study)["CT"]
    before = orthanc.digests(images)
    confirmed = orthanc.push(study)
    until(
        lambda: {"SEG", "SR"} <= set(orthanc.series_by_modality(study)),
        _RESULT_LIMIT_S,
        lambda: f"SEG and SR in Orthanc: {evidence.jobs(rig)}\n{rig.tail()}",
        every_s=0.3,
    )
    uid = str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
    return Round(orthanc, rig, study, uid, images, before, confirmed)


def test_orthanc_hears_of_success_for_every_image(finished):
    assert finished.confirmed == len(finished.digests_before) > 0


def test_the_results_lie_in_the_study_that_was_sent_with_the_right_classes(finished):
    seg, sr = (finished.orthanc.tags(series) for series in finished.results())

    assert [one["SOPClassUID"] for one in seg] == [SEGMENTATION]
    assert len(sr) == 1 and sr[0]["SOPClassUID"] in REPORTS
    for one in (*seg, *sr):
        assert one["StudyInstanceUID"] == finished.study_instance_uid
    assert len(finished.orthanc.get("/studies")) == 1


def test_the_segmentation_refers_to_the_images_that_orthanc_holds(finished):
    (seg,) = finished.orthanc.tags(finished.results()[0])
    images = finished.orthanc.tags(finished.images)

    (series,) = seg["ReferencedSeriesSequence"]

    assert series["SeriesInstanceUID"] == images[0]["SeriesInstanceUID"]
    referred = {one["ReferencedSOPInstanceUID"] for one in series["ReferencedInstanceSequence"]}
    assert referred == {one["SOPInstanceUID"] for one in images}


def test_the_results_carry_the_patient_of_the_study(finished):
    keys = ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "StudyDate")
    image = finished.orthanc.tags(finished.images)[0]

    for series in finished.results():
        (tags,) = finished.orthanc.tags(series)
        assert {key: tags.get(key) for key in keys} == {key: image.get(key) for key in keys}


def test_the_source_images_are_unharmed(finished):
    assert finished.orthanc.digests(finished.images) == finished.digests_before


def test_results_that_the_pacs_sends_back_start_nothing(finished):
    before = evidence.jobs(finished.rig)

    assert finished.orthanc.push(*finished.results()) == 2
    until(lambda: not evidence.open_studies(finished.rig), 30, lambda: "the study closed again")
    time.sleep(2 * QUIET_S)  # nothing to wait for: a job that should not come

    assert evidence.jobs(finished.rig) == before
    assert [job.state for job in before] == ["succeeded"]


def test_the_same_study_pushed_again_makes_no_second_result(finished):
    finished.orthanc.push(finished.study)
    until(lambda: not evidence.open_studies(finished.rig), 30, lambda: "the study closed again")

    assert len(evidence.jobs(finished.rig)) == 1
    assert [
        len(found) for found in finished.orthanc.series_by_modality(finished.study).values()
    ] == [1, 1, 1]
