"""Other people's tools read the results: dciodvfy, dcmtk, Orthanc."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.archives import free_port
from tests.aspects_findings import aspects_analysis, rejected_findings
from tests.infarct_findings import infarct_analysis
from tests.orthanc import Orthanc, running_orthanc
from tests.plain_series import plain_series
from tests.synthetic_ct import SAGITTAL, write_ct_series
from willis_models.findings import Amendment
from willis_models.pipelines.base import Analysis
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.series import DicomSeries
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.dicom.verify import verify_seg
from willis_service.adapters.dicom.verify_sr import verify_sr

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
CREATED = datetime(2026, 3, 4, 22, 30, tzinfo=UTC)
SYNTHETIC: dict[str, dict[str, Any]] = {
    "tilted": {"tilt_deg": 18.5},
    "sagittal": {"orientation": SAGITTAL},
    "enhanced": {"enhanced": True},
}


@dataclass(frozen=True)
class Written:
    """Results on disk, with what they were written from."""

    series: DicomSeries
    seg: Path
    sr: Path
    rejected_sr: Path
    amended_sr: Path

    @property
    def every(self) -> tuple[Path, ...]:
        return self.seg, self.sr, self.rejected_sr, self.amended_sr


def _tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def _complaints(text: str) -> list[str]:
    """dcmtk's warnings and errors, except that its checker knows no UTF-8."""
    lines = [line for line in text.splitlines() if line.startswith(("W: ", "E: ", "F: "))]
    return [line for line in lines if "VR checker does not support" not in line]


def _write(series: DicomSeries, folder: Path) -> Written:
    analysis = aspects_analysis(series.image.stack)
    names = ("seg.dcm", "sr.dcm", "rejected.dcm", "amended.dcm")
    written = Written(series, *(folder / name for name in names))
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    seg.save_as(written.seg)
    write_sr(analysis, series.headers, seg, EQUIPMENT, created=CREATED).save_as(written.sr)
    rejected = Analysis(rejected_findings())
    sr = write_sr(rejected, series.headers[:1], None, EQUIPMENT, created=CREATED)
    sr.save_as(written.rejected_sr)
    amends = Amendment(job_id="job-1", status="rejected")
    amended = replace(analysis, findings=analysis.findings.model_copy(update={"amends": amends}))
    given: dict[str, Any] = {"created": CREATED, "predecessor": sr}
    seg = write_seg(amended, series, EQUIPMENT, **given)
    write_sr(amended, series.headers, seg, EQUIPMENT, **given).save_as(written.amended_sr)
    return written


@pytest.fixture(scope="module", params=SYNTHETIC)
def synthetic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("synthetic")
    return _write(plain_series(write_ct_series(folder / "ct", **SYNTHETIC[request.param])), folder)


@pytest.fixture(scope="module")
def real(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    files = sorted((shared / "samples" / "ncct_ge_tilt").glob("*.dcm"))
    return _write(plain_series(files), tmp_path_factory.mktemp("real"))


def _assert_valid(written: Written) -> None:
    dciodvfy = _tool("dciodvfy")
    for path in written.every:
        report = _run(dciodvfy, path)
        assert not [line for line in report.splitlines() if line.startswith("Error")], report
        assert "Segmentation" in report or "Comprehensive3DSR" in report


def test_dciodvfy_finds_no_error_in_results_of_synthetic_series(synthetic: Written) -> None:
    _assert_valid(synthetic)


def test_dciodvfy_finds_no_error_in_results_of_a_real_scan(real: Written) -> None:
    _assert_valid(real)


def test_results_of_a_real_tilted_scan_agree_with_the_memory(real: Written) -> None:
    analysis = aspects_analysis(real.series.image.stack)
    assert analysis.labels is not None
    seg = dcmread(real.seg)

    verify_seg(seg, analysis.findings.segments, [analysis.labels], real.series)
    verify_sr(dcmread(real.sr), analysis.findings, real.series.headers, seg)


def _write_infarct(series: DicomSeries, folder: Path) -> list[Path]:
    """SEG with overlapping segments, every map, and the report."""
    analysis = infarct_analysis(series.image.stack)
    seg = write_seg(analysis, series, EQUIPMENT, created=CREATED)
    assert seg is not None
    maps = {
        one.key: write_map(one, analysis.findings, series, EQUIPMENT, created=CREATED)
        for one in analysis.maps
    }
    given: dict[str, Any] = {"created": CREATED, "maps": list(maps.values())}
    sr = write_sr(analysis, series.headers, seg, EQUIPMENT, **given)
    paths = []
    for name, made in {"seg": seg, **maps, "sr": sr}.items():
        paths.append(folder / f"{name}.dcm")
        made.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.fixture(scope="module", params=SYNTHETIC)
def infarct(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("infarct")
    paths = write_ct_series(folder / "ct", shape=(12, 48, 48), **SYNTHETIC[request.param])
    return _write_infarct(plain_series(paths), folder)


def test_dciodvfy_finds_no_error_in_the_objects_of_a_perfusion_study(infarct: list[Path]) -> None:
    dciodvfy = _tool("dciodvfy")
    for path in infarct:
        report = _run(dciodvfy, path)
        assert not [line for line in report.splitlines() if line.startswith("Error")], report
        names = ("Segmentation", "ParametricMap", "Comprehensive3DSR")
        assert any(name in report for name in names)


def test_dcmtk_reads_the_report_of_a_perfusion_study(infarct: list[Path]) -> None:
    text = _run(_tool("dsrdump"), infarct[-1])

    assert '"Volume with Tmax above 6 s")="58.2"' in text
    assert '"Upper end of the interval")="41.25"' in text
    assert text.count("<contains SCOORD3D:") == 2
    assert not _complaints(text)


def test_dcmtk_reads_the_maps(infarct: list[Path]) -> None:
    for path in infarct[1:-1]:
        text = _run(_tool("dcmdump"), "-q", "+P", "FloatPixelPaddingValue", path)
        assert "-1" in text and not _complaints(text)


def test_dcmtk_reads_the_whole_report(synthetic: Written) -> None:
    text = _run(_tool("dsrdump"), synthetic.sr)

    assert "Comprehensive 3D SR Document" in text
    assert '"Alberta Stroke Program Early CT Score")="8' in text
    assert text.count('"Referenced Segment"') == 20
    assert not _complaints(text)


def test_dcmtk_reads_the_report_of_a_rejected_study(synthetic: Written) -> None:
    text = _run(_tool("dsrdump"), synthetic.rejected_sr)

    assert "(BRAIN_NOT_PLAUSIBLE,99WILLIS" in text
    assert " NUM:" not in text
    assert not _complaints(text)


def test_dcmtk_reads_an_amended_report_and_finds_its_predecessor(synthetic: Written) -> None:
    text = _run(_tool("dsrdump"), synthetic.amended_sr)
    predecessor = _run(_tool("dcmdump"), "+P", "0040,a360", "+P", "0008,1155", synthetic.amended_sr)

    assert '"Amended result")="Amended result: it repl' in text
    assert str(dcmread(synthetic.rejected_sr).SOPInstanceUID) in predecessor
    assert not _complaints(text)


def test_dcmtk_reads_the_segmentation(synthetic: Written) -> None:
    text = _run(_tool("dcmdump"), "+P", "SegmentLabel", synthetic.seg)

    assert [line.split("[")[1].split("]")[0] for line in text.splitlines()][:2] == [
        "Left C",
        "Left L",
    ]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    _tool("Orthanc")
    folder, ports = tmp_path_factory.mktemp("archive") / "orthanc", (free_port(), free_port())
    with running_orthanc(folder, ports, free_port()) as running:
        yield running


def test_an_archive_takes_the_results_into_the_source_study(
    archive: Orthanc, tmp_path: Path
) -> None:
    paths = write_ct_series(tmp_path / "ct", shape=(12, 32, 32))
    written = _write(plain_series(paths), tmp_path)
    storescu = _tool("storescu")
    address = ("127.0.0.1", str(archive.port))
    for files in (tuple(paths), (written.seg, written.sr)):
        text = _run(storescu, "-v", "-R", *address, *files)
        assert "(Success)" in text and not _complaints(text), text

    assert archive.modalities_by_study() == {written.series.study_instance_uid: ["CT", "SEG", "SR"]}
    (study,) = archive.get("/studies?expand")
    assert study["PatientMainDicomTags"]["PatientID"] == "SYN-1"
