"""A PACS sends a study, asks for commitment, and looks for the result: every process is real."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from tests.commitment_requester import PACS, Requester, ask_for_commitment, free_port
from tests.e2e.test_embedded_service import Service, started, stopped
from tests.synthetic_ct import write_ct_series

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("storescu") is None, reason="dcmtk is not installed (apt-get install dcmtk)"
    ),
]


@pytest.fixture
def requester() -> Requester:
    return Requester(free_port())


@pytest.fixture
def service(tmp_path: Path, repository: Path, requester: Requester) -> Iterator[Service]:
    running = started(
        tmp_path,
        repository,
        WILLIS_ALLOWED_AE_TITLES=PACS,
        WILLIS_COMMITMENT_PEERS=f"{PACS}@127.0.0.1:{requester.port}",
        WILLIS_API_CLIENTS="viewer:a-key-of-the-viewer",
    )
    yield running
    stopped(running)


def until(condition: Callable[[], object], seconds: float = 45) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.2)


def test_a_study_is_vouched_for_and_its_result_found_in_it(service, requester, tmp_path):
    files = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    headers = [dcmread(path) for path in files]
    study = str(headers[0].StudyInstanceUID)
    session = requests.Session()
    session.headers["Authorization"] = "Bearer a-key-of-the-viewer"
    client = DICOMwebClient(f"http://127.0.0.1:{service.http_port}/dicomweb", session=session)

    assert service.storescu(*files, sender=PACS).returncode == 0
    named = [(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in headers]
    with requester.listening():
        assert ask_for_commitment(service.port, named) == 0x0000
        until(lambda: requester.reports)
    until(lambda: len(client.search_for_series(study)) == 3)

    [(event_type, information)] = requester.reports
    assert (event_type, len(information.ReferencedSOPSequence)) == (1, len(files))
    assert len(client.retrieve_study(study)) == len(files) + 2
    session.close()
