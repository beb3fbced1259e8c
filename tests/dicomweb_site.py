"""A whole installation behind a real HTTP server, and ``dicomweb-client`` as its client."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import uvicorn
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI
from pydicom import Dataset, dcmread

from tests.toy_core import Toy, route, toy_core
from tests.toy_pipeline import toy_pipelines
from willis_service.bootstrap.api import build_api
from willis_service.domain.clients import ApiClient
from willis_service.domain.job import Job

CLIENT = ApiClient("viewer", "a-key-of-the-viewer")


@contextmanager
def serving(app: FastAPI, listening: socket.socket) -> Iterator[None]:
    """A server in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), name="api")
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@dataclass(frozen=True)
class Site:
    """An installation, its address, and a client that has a key."""

    toy: Toy
    url: str
    client: DICOMwebClient
    session: requests.Session

    def get(self, path: str, accept: str = "*/*") -> requests.Response:
        return self.session.get(self.url + path, headers={"Accept": accept}, timeout=30)

    def store(self, files: list[Path]) -> Dataset:
        return self.client.store_instances([dcmread(path) for path in files])

    def analyse(self, study: str) -> Job:
        """Order the toy pipeline for a study and run it."""
        core = self.toy.core
        job = route(core, study)
        self.toy.run(job.id)
        return core.jobs.get(job.id)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """An installation in this folder, served."""
    with socket.create_server(("127.0.0.1", 0)) as listening, requests.Session() as session:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # The client leaves the port out of the Host header, so addresses can't be made from it.
        toy = toy_core(folder, api_clients=(CLIENT,), max_object_mb=1, public_url=url)
        session.headers["Authorization"] = f"Bearer {CLIENT.key}"
        with serving(build_api(toy.core.settings, toy_pipelines), listening):
            client = DICOMwebClient(f"{url}/dicomweb", session=session)
            yield Site(toy, url, client, session)
        toy.core.database.close()
