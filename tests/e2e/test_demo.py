"""``willis demo`` on a toy network: service, C-STORE, queue, worker and REST are all real."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.infarct_bundle import write_infarct_bundle
from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import write_toy_bundle
from willis_models.errors import NoSuitableSeries, ServiceError
from willis_models.findings import Findings
from willis_service.commands.demo import demo
from willis_service.commands.exit_codes import ExitCode

_SERVE_TOY = """
import sys
from pathlib import Path
from tests.toy_pipeline import toy_pipelines
from willis_service.settings import load_settings
from willis_service.supervisor import run_all

run_all(load_settings(bundle_root=Path(sys.argv[1]), require_signature=False), toy_pipelines)
"""

_SERVE_INFARCT = (sys.executable, "-m", "tests.e2e.toy_service", "infarct")


@pytest.fixture
def serve_toy(tmp_path: Path, repository: Path, monkeypatch) -> tuple[str, ...]:
    monkeypatch.chdir(repository)
    return (sys.executable, "-c", _SERVE_TOY, str(write_toy_bundle(tmp_path / "bundles")))


@pytest.mark.slow
def test_a_study_goes_in_by_c_store_and_its_results_lie_in_the_folder(serve_toy, tmp_path, capsys):
    write_ct_series(tmp_path / "study")

    code = demo(tmp_path / "study", "toy", tmp_path / "out", serve_toy)

    assert code is ExitCode.OK
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"findings.json", "seg.dcm", "sr.dcm", "report.html", "report.png"}
    assert str(tmp_path / "out" / "report.html") in capsys.readouterr().out


@pytest.mark.slow
def test_a_study_that_is_refused_ends_with_its_own_exit_code(serve_toy, tmp_path, capsys):
    write_ct_series(tmp_path / "study", missing=(10, 11))

    code = demo(tmp_path / "study", "toy", tmp_path / "out", serve_toy)

    assert code is ExitCode.REJECTED
    assert "MISSING_SLICES" in capsys.readouterr().out


@pytest.mark.slow
def test_the_shipped_study_is_scored_and_its_stroke_lies_on_the_right(demo_study, tmp_path):
    code = demo(demo_study, "aspects", tmp_path / "out")

    findings = Findings.model_validate_json((tmp_path / "out" / "findings.json").read_bytes())
    assert code is ExitCode.OK
    assert findings.side_selection is not None
    assert findings.side_selection.side == "right"


@pytest.mark.slow
def test_a_perfusion_study_is_made_on_the_spot_and_its_maps_lie_in_the_folder(
    tmp_path, repository, monkeypatch, capsys
):
    monkeypatch.chdir(repository)
    monkeypatch.setenv("WILLIS_BUNDLE_ROOT", str(write_infarct_bundle(tmp_path / "bundles")))
    monkeypatch.setenv("WILLIS_REQUIRE_SIGNATURE", "false")

    code = demo(None, "infarct", tmp_path / "out", _SERVE_INFARCT)

    findings = Findings.model_validate_json((tmp_path / "out" / "findings.json").read_bytes())
    assert code is ExitCode.OK
    assert {segment.laterality for segment in findings.segments} == {"right"}
    written = {path.name for path in (tmp_path / "out").iterdir()}
    maps = {f"{key}.dcm" for key in ("cbf", "cbv", "mtt", "tmax", "ttp")}
    assert written == {"findings.json", "seg.dcm", "sr.dcm", "report.html", "report.png"} | maps
    assert "Mismatch ratio" in capsys.readouterr().out


def test_a_service_that_does_not_start_shows_why(tmp_path):
    write_ct_series(tmp_path / "study", shape=(5, 16, 16))
    broken = (sys.executable, "-c", "raise SystemExit('no room here')")

    with pytest.raises(ServiceError, match="no room here"):
        demo(tmp_path / "study", "toy", tmp_path / "out", broken)


def test_two_studies_at_once_are_refused_before_anything_starts(tmp_path):
    for seed in ("1", "2"):
        write_ct_series(tmp_path / "studies" / seed, shape=(3, 16, 16), seed=seed)

    with pytest.raises(NoSuitableSeries, match="2 studies"):
        demo(tmp_path / "studies", "toy", tmp_path / "out")
