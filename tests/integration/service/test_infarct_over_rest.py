"""The infarct pipeline as a client of REST meets it, with the worker's own code behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydicom import dcmread

from tests.infarct_bundle import write_infarct_bundle
from tests.phantom_scan import make_scan, write_scan
from tests.toy_pipeline import TOY, write_toy_bundle
from willis_models.pipelines.base import Pipeline
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_service.application.analyse import RunJob
from willis_service.bootstrap.api import build_api
from willis_service.bootstrap.core import build_core
from willis_service.bootstrap.working import worker_of
from willis_service.settings import Settings, api_key_path

PHANTOM = make_scan()
ARTERY = [round(float(mm), 1) for mm in PHANTOM.artery_lps]


def pipelines() -> Mapping[str, Pipeline]:
    return {INFARCT.name: INFARCT, TOY.name: TOY}


@dataclass(frozen=True)
class Site:
    """A client, and a worker that works when a test says so."""

    client: TestClient
    work: RunJob

    def ask(self, scan: Path, pipeline: str = "infarct", **options: Any) -> Any:
        """The reply to an upload that nobody waits for."""
        form = {"pipeline": pipeline, "options": json.dumps(options)}
        files = {"files": ("scan.dcm", scan.read_bytes())}
        return self.client.post("/predict?wait_s=0", data=form, files=files)

    def result(self, scan: Path, **options: Any) -> Any:
        """The job once it ended."""
        asked = self.ask(scan, **options).json()["job"]
        self.work.next()
        return self.client.get(f"/jobs/{asked['id']}").json()

    def findings(self, job: Mapping[str, Any]) -> Any:
        return self.client.get(job["links"]["findings"]).json()

    def report(self, job: Mapping[str, Any], folder: Path) -> str:
        """The structured report as text."""
        path = folder / "sr.dcm"
        path.write_bytes(self.client.get(job["links"]["sr"]).content)
        return json.dumps(dcmread(path).to_json_dict())


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scan(PHANTOM, tmp_path_factory.mktemp("scan"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    root = write_infarct_bundle(write_toy_bundle(tmp_path / "bundles"))
    settings = Settings(
        data_dir=tmp_path / "data", bundle_root=root, require_signature=False, disk_reserve_mb=1
    )
    app = build_api(settings, pipelines)
    worker = worker_of(build_core(settings, pipelines)).run_job
    with TestClient(app, headers={"X-API-Key": api_key_path(settings).read_text().strip()}) as one:
        yield Site(one, worker)


def test_an_artery_chosen_by_hand_is_measured_there_and_told_everywhere(
    site: Site, scan: Path, tmp_path: Path
) -> None:
    job = site.result(scan, aif_lps=ARTERY)

    assert (job["state"], job["options"]) == ("succeeded", {"aif_lps": ARTERY})
    perfusion = site.findings(job)["perfusion"]
    assert perfusion["aif"]["is_manual"] is True
    assert perfusion["vof"]["is_manual"] is False
    off_mm = np.linalg.norm(np.subtract(perfusion["aif"]["position_lps"], ARTERY))
    assert off_mm < 6.0
    assert "by hand" in site.report(job, tmp_path)
    assert "by hand" in site.client.get(job["links"]["report"]).text


def test_a_job_without_options_says_so_and_finds_its_vessels_itself(site: Site, scan: Path) -> None:
    job = site.result(scan)

    assert (job["state"], job["options"]) == ("succeeded", {})
    assert site.findings(job)["perfusion"]["aif"]["is_manual"] is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"aif_lps": [400, 0, 0]}, "place 400, 0, 0 lies outside the CT perfusion"),
        ({"vof_lps": [0, 80, -300]}, "covers x -110 to 110"),
        ({"aif_lps": [1, 2]}, "aif_lps"),
        ({"aif_lps": "left"}, "aif_lps"),
        ({"artery": [1, 2, 3]}, "Known are aif_lps, vof_lps"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_before_anything_is_ordered(
    site: Site, scan: Path, options: dict[str, Any], said: str
) -> None:
    reply = site.ask(scan, **options)

    assert (reply.status_code, reply.json()["code"]) == (422, "BAD_OPTION")
    assert said in reply.json()["detail"]
    assert site.client.get("/jobs").json()["jobs"] == []


def test_a_client_can_ask_which_places_a_pipeline_takes(site: Site) -> None:
    listed = site.client.get("/pipelines").json()["pipelines"]

    assert {one["name"]: one["places"] for one in listed} == {
        "infarct": {"aif_lps": "ctp", "vof_lps": "ctp"},
        "toy": {},
    }


def test_a_pipeline_without_options_takes_none(site: Site, scan: Path) -> None:
    reply = site.ask(scan, pipeline="toy", aif_lps=ARTERY)

    assert (reply.status_code, reply.json()["code"]) == (422, "BAD_OPTION")
    assert "takes no options" in reply.json()["detail"]


def test_a_place_beside_the_head_is_a_coded_rejection(
    site: Site, scan: Path, tmp_path: Path
) -> None:
    job = site.result(scan, aif_lps=[-105, -100, 0])

    assert (job["state"], job["error"]["code"]) == ("rejected", "NO_VESSEL")
    assert site.findings(job)["rejection"]["code"] == "NO_VESSEL"
    assert "NO_VESSEL" in site.report(job, tmp_path)


def test_a_scan_cut_short_is_rejected_with_the_code_of_what_is_wrong(
    site: Site, tmp_path: Path
) -> None:
    job = site.result(write_scan(make_scan(seconds=19.5), tmp_path / "short"))

    assert (job["state"], job["error"]["code"]) == ("rejected", "SCAN_TOO_SHORT")
    assert "Measured: " in job["error"]["message"]
    assert "Also rejected: NO_BOLUS." in job["error"]["message"]
    report = site.report(job, tmp_path)
    assert all(code in report for code in ("SCAN_TOO_SHORT", "NO_BOLUS"))
    assert "INPUT_ERROR" not in report
