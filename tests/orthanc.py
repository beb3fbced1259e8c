"""An Orthanc of its own: Debian's package, driven through its REST interface."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.waiting import until
from willis_service.domain.peers import Destination

TITLE, MODALITY = "ORTHANC", "willis"
PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/bin")


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc: its DICOM port, and what a test asks of it."""

    port: int
    api: httpx.Client

    @property
    def address(self) -> Destination:
        """Where it takes associations."""
        return Destination(TITLE, "127.0.0.1", self.port)

    def upload(self, files: Sequence[Path]) -> str:
        """Give it the files of one study; Orthanc's name for the study."""
        replies = [self._post("/instances", content=path.read_bytes()) for path in files]
        (study,) = {reply["ParentStudy"] for reply in replies}
        return str(study)

    def push(self, *resources: str) -> int:
        """C-STORE studies or series to the service; how many instances were confirmed."""
        order = {"Resources": list(resources), "Synchronous": True}
        done = self._post(f"/modalities/{MODALITY}/store", json=order)
        if done["FailedInstancesCount"]:
            raise AssertionError(f"Orthanc could not send everything: {done}")
        return int(done["InstancesCount"])

    def series_by_modality(self, study: str) -> Mapping[str, list[str]]:
        """Orthanc's names of the study's series."""
        found: dict[str, list[str]] = {}
        for series in self.get(f"/studies/{study}/series"):
            found.setdefault(series["MainDicomTags"]["Modality"], []).append(series["ID"])
        return found

    def modalities_by_study(self) -> dict[str, list[str]]:
        """The modalities of the series of each study, by StudyInstanceUID."""
        return {
            self.get(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]: sorted(
                modality
                for modality, series in self.series_by_modality(study).items()
                for _ in series
            )
            for study in self.get("/studies")
        }

    def tags(self, series: str) -> list[Mapping[str, Any]]:
        """The data sets of a series, by keyword."""
        instances = self.get(f"/series/{series}/instances")
        return [self.get(f"/instances/{one['ID']}/simplified-tags") for one in instances]

    def digests(self, series: str) -> Mapping[str, str]:
        """MD5 of each stored file of a series."""
        instances = self.get(f"/series/{series}")["Instances"]
        return {one: self._text(f"/instances/{one}/attachments/dicom/md5") for one in instances}

    def get(self, path: str) -> Any:
        """What Orthanc answers, as JSON."""
        return self.api.get(path).raise_for_status().json()

    def _text(self, path: str) -> str:
        return self.api.get(path).raise_for_status().text

    def _post(self, path: str, **given: Any) -> Any:
        return self.api.post(path, **given).raise_for_status().json()


@contextmanager
def running_orthanc(
    folder: Path, ports: tuple[int, int], willis_port: int, **given: Any
) -> Iterator[Orthanc]:
    """Orthanc on these DICOM and HTTP ports, which knows the service as a modality."""
    port, http_port = ports
    folder.mkdir()
    configuration = {
        "StorageDirectory": str(folder / "stored"),
        "IndexDirectory": str(folder / "stored"),
        "DicomAet": TITLE,
        "DicomPort": port,
        "HttpPort": http_port,
        "DicomModalities": {MODALITY: ["WILLIS", "127.0.0.1", willis_port]},
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        **given,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), str(path)], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http_port}", timeout=120) as api:

            def is_up() -> bool:
                with suppress(httpx.TransportError):
                    return api.get("/system").is_success
                return False

            until(is_up, 60, lambda: (folder / "orthanc.log").read_text()[-2000:])
            yield Orthanc(port, api)
    finally:
        process.terminate()
        process.wait(30)
