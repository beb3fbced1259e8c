"""A simulated perfusion study by C-STORE, and what an archive gets for it: left stays left.

The scanner, the service and the archive are processes or servers of their own; only the network
is a stand-in that takes late tissue for the infarct.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.archives import SEG, SR, Archive, wait_until
from tests.e2e.test_embedded_service import SENDER, Service, started, stopped
from tests.infarct_bundle import write_infarct_bundle
from willis_models.codes import Laterality
from willis_models.volume import DynamicStack, SliceStack
from willis_service.adapters.dicom.sender import DicomSender
from willis_service.adapters.web.palette import LESIONS
from willis_service.domain.job import JobState
from willis_service.domain.peers import Destination
from willis_training.simulation.ctp.dicom_study import StudyParts, write_study
from willis_training.simulation.ctp.perfusion import SimulatedPerfusion
from willis_training.simulation.ctp.study import SUBJECT, find_phantom, make_study
from willis_training.simulation.dicom_series import StudyLabel

pytestmark = pytest.mark.slow
MAP = "1.2.840.10008.5.1.4.1.1.30"
PIXELS = 96
MEANINGS: dict[Laterality, str] = {"left": "Left", "right": "Right"}


@dataclass(frozen=True)
class Answer:
    """What came of one study."""

    side: Laterality
    objects: tuple[Dataset, ...]
    picture: np.ndarray
    page: str

    def of(self, sop_class: str) -> list[Dataset]:
        return [one for one in self.objects if one.SOPClassUID == sop_class]


def mirrored(study: SimulatedPerfusion) -> SimulatedPerfusion:
    """The same slices of a patient who is the mirror image."""
    dynamic = study.dynamic
    still = dynamic.still(dynamic.frames[0])
    frames = np.ascontiguousarray(dynamic.frames[..., ::-1])
    return replace(
        study,
        dynamic=DynamicStack.like(still, frames, dynamic.times_s.copy()),
        ncct=_flipped(study.ncct),
        cta=None if study.cta is None else _flipped(study.cta),
    )


def _flipped(stack: SliceStack) -> SliceStack:
    return stack.with_voxels(np.ascontiguousarray(stack.voxels[..., ::-1]))


@cache
def simulated() -> SimulatedPerfusion:
    return make_study(find_phantom(), PIXELS, 1)


def files_of(side: Laterality, folder: Path) -> list[Path]:
    """A stroke on this side; the simulator draws one on the right."""
    study = simulated()
    label = StudyLabel(f"e2e/{side}", "SIMULATED", "", "20260105", "081500")
    written = write_study(
        study if side == "right" else mirrored(study), SUBJECT, label, folder, StudyParts(cta=False)
    )
    return [path for paths in written.values() for path in paths]


@pytest.fixture(scope="module")
def archive() -> Iterator[Archive]:
    with Archive() as running:
        yield running


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, archive: Archive
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    write_infarct_bundle(folder / "bundles")
    given = {
        "WILLIS_RESULT_DESTINATIONS": str(archive.address),
        "WILLIS_WORKER_LOST_AFTER_S": "60",
    }
    running = started(folder, repository, "infarct", **given)
    yield running
    assert stopped(running) == 0


@pytest.fixture(scope="module", params=["left", "right"])
def answer(
    request: pytest.FixtureRequest,
    service: Service,
    archive: Archive,
    tmp_path_factory: pytest.TempPathFactory,
) -> Answer:
    side: Laterality = request.param
    files = files_of(side, tmp_path_factory.mktemp(side))
    before = len(archive.confirmed)
    DicomSender(SENDER)(files, Destination("WILLIS", "127.0.0.1", service.port))
    known = {str(one.StudyInstanceUID) for one in archive.objects.values()}
    job = service.wait_for(
        lambda job: job.state.is_final and job.study_instance_uid not in known, seconds=240
    )
    assert job.state is JobState.SUCCEEDED, job.error_message
    wait_until(lambda: len(archive.confirmed) >= before + 7, 60)
    key = (service.data_dir / "api-key").read_text().strip()
    url = f"http://127.0.0.1:{service.http_port}/jobs/{job.id}"
    with httpx.Client(headers={"X-API-Key": key}) as client:
        picture = Image.open(io.BytesIO(client.get(f"{url}/picture").content)).convert("RGB")
        page = client.get(f"{url}/report").text
        links = client.get(url).json()["links"]
    assert set(links) >= {"seg", "sr", "report", "picture", "cbf", "cbv", "mtt", "tmax", "ttp"}
    objects = tuple(_readable(archive.objects[uid]) for uid in archive.confirmed[before:])
    return Answer(side, objects, np.asarray(picture), page)


def _readable(received: Dataset) -> Dataset:
    """As it came over the wire, with what a file would say about its encoding."""
    received.file_meta = FileMetaDataset()
    received.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return received


def _x_mm(made: Dataset, chosen: np.ndarray, frame: int) -> np.ndarray:
    """Patient x (DICOM LPS: +x is left) of pixels of a frame, from the object itself."""
    shared = made.SharedFunctionalGroupsSequence[0]
    cosines = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    spacing = shared.PixelMeasuresSequence[0].PixelSpacing
    own = made.PerFrameFunctionalGroupsSequence[frame]
    origin = float(own.PlanePositionSequence[0].ImagePositionPatient[0])
    rows, columns = np.nonzero(chosen)
    across, down = float(cosines[0]) * float(spacing[1]), float(cosines[3]) * float(spacing[0])
    return np.asarray(origin + columns * across + rows * down)


def test_the_archive_gets_segments_maps_and_last_the_report(answer: Answer) -> None:
    classes = [str(one.SOPClassUID) for one in answer.objects]

    assert classes == [SEG, *[MAP] * 5, SR]
    assert len({str(one.StudyInstanceUID) for one in answer.objects}) == 1


def test_every_segment_lies_on_the_patients_side(answer: Answer) -> None:
    (seg,) = answer.of(SEG)
    frames = seg.pixel_array
    x_mm = np.concatenate([_x_mm(seg, frame, n) for n, frame in enumerate(frames)])

    assert (np.median(x_mm) > 0) == (answer.side == "left")
    assert seg.SegmentsOverlap == "YES"
    for segment in seg.SegmentSequence:
        (side,) = segment.AnatomicRegionSequence[0].AnatomicRegionModifierSequence
        assert side.CodeMeaning == MEANINGS[answer.side]


def test_the_delay_is_long_on_the_patients_side(answer: Answer) -> None:
    tmax = next(one for one in answer.of(MAP) if one.ContentLabel == "WILLIS_TMAX")
    frames = np.asarray(tmax.pixel_array)
    x_mm = np.concatenate([_x_mm(tmax, frame > 8, n) for n, frame in enumerate(frames)])

    assert (np.median(x_mm) > 0) == (answer.side == "left")


def test_the_report_names_the_side_and_the_volumes(answer: Answer) -> None:
    (sr,) = answer.of(SR)
    text = json.dumps(sr.to_json_dict())

    assert f'"{MEANINGS[answer.side]}"' in text
    assert f'"{MEANINGS["left" if answer.side == "right" else "right"]}"' not in text
    assert f"mL, patient {answer.side.upper()}." in answer.page


def test_the_core_is_drawn_on_its_side_of_the_picture(answer: Answer) -> None:
    """Radiological convention: a left lesion on the right of each panel."""
    orange = np.array(LESIONS["core"].colour)
    top = answer.picture[92:400]
    is_core = np.abs(top.astype(int) - orange).max(axis=-1) < 40
    width = (answer.picture.shape[1] - 2 * 14 - 96) // 6
    within = (np.nonzero(is_core)[1] - 14) % width

    assert len(within) > 20
    assert (np.median(within) > width / 2) == (answer.side == "left")
