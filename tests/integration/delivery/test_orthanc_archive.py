"""Orthanc as the archive: objects in the right study, and its word that it keeps them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.archives import free_port, wait_until
from tests.delivery_rig import Rig, archive_destination, run_until_idle, seg_and_sr
from tests.orthanc import PROGRAM, TITLE, Orthanc, running_orthanc
from tests.synthetic_ct import write_ct_series
from tests.toy_core import toy_core
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.commitment_scu import CommitmentScu
from willis_service.adapters.dicom.receiver import Door
from willis_service.application.delivery.commitments import AskCommitment, NoteCommitment
from willis_service.bootstrap.receiving import receiver_of
from willis_service.domain.delivery import Backoff

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Orthanc is not installed")


OUR_PORT = free_port()


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder, ports = tmp_path_factory.mktemp("pacs") / "orthanc", (free_port(), free_port())
    with running_orthanc(folder, ports, OUR_PORT, DicomCheckModalityHost=False) as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path, pacs: Orthanc) -> Iterator[Rig]:
    """A rig on the database of an installation whose receiver the archive can call."""
    toy = toy_core(tmp_path, commitment_peers=())
    rig = Rig(tmp_path, toy.core.database)
    rig.destinations = [archive_destination(pacs.address, commitment=True)]
    core = replace(toy.core, settings=toy.core.settings.model_copy(update=_let_in()))
    running = receiver_of(core).start(Door("127.0.0.1", OUR_PORT, None))
    yield rig
    running.stop()
    toy.core.database.close()


def _let_in() -> dict[str, Any]:
    from willis_service.domain.peers import AllowedSender

    return {"allowed_ae_titles": (AllowedSender(TITLE),)}


def test_seg_and_sr_lie_in_the_study_of_their_images_and_are_committed(
    installation, pacs, tmp_path
):
    rig = installation
    images = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    _storescu(pacs, images)
    job = rig.job()
    rig.plan()

    requestor = Requestor("WILLIS", Timeouts(5, 5, 5))
    note = NoteCommitment(rig.outbox, timedelta(minutes=5), rig.clock)
    ask = AskCommitment(
        "pacs",
        rig.outbox,
        CommitmentScu(pacs.address, requestor, wait_s=0.2),
        note,
        timedelta(hours=1),
        Backoff(timedelta(seconds=5), timedelta(seconds=300)),
        rig.clock,
        lambda: 0.999,
    )
    run_until_idle(rig.lane(rig.destinations[0]))
    assert rig.states() == {"SEG": "sent", "SR": "sent"}
    run_until_idle(ask)
    wait_until(lambda: rig.states() == {"SEG": "committed", "SR": "committed"}, 20)

    study = str(seg_and_sr()[0].StudyInstanceUID)
    assert pacs.modalities_by_study() == {study: ["CT", "SEG", "SR"]}

    rig.desk.retract(job, "The wrong side was scored.")
    run_until_idle(rig.lane(rig.destinations[0]))
    assert pacs.modalities_by_study() == {study: ["CT", "KO", "SEG", "SR"]}


def _storescu(pacs: Orthanc, files: list[Path]) -> None:
    address = ["127.0.0.1", str(pacs.port)]
    command = ["storescu", "-aec", TITLE, *address, *map(str, files)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
