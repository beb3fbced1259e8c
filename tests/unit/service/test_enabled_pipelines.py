"""Which pipelines an installation runs: those that were asked for, else those with a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infarct_bundle import write_infarct_bundle
from willis_models.errors import UnknownPipeline
from willis_models.pipelines.registry import PIPELINES
from willis_service.bootstrap.core import enabled_pipelines
from willis_service.settings import load_settings


def enabled(tmp_path: Path, *asked: str) -> set[str]:
    settings = load_settings({}, data_dir=tmp_path / "data", bundle_root=tmp_path, pipelines=asked)
    return set(enabled_pipelines(settings, PIPELINES))


def test_every_shipped_pipeline_runs_by_itself(tmp_path):
    settings = load_settings({}, data_dir=tmp_path)

    assert set(enabled_pipelines(settings, PIPELINES)) == set(PIPELINES)


def test_one_whose_model_is_not_there_does_not_hold_up_the_others(tmp_path):
    write_infarct_bundle(tmp_path)

    assert enabled(tmp_path) == {"infarct"}


def test_a_model_that_was_added_counts(tmp_path):
    write_infarct_bundle(tmp_path)
    settings = load_settings({}, data_dir=tmp_path / "data", bundle_root=tmp_path)
    (settings.added_bundles / "aspects" / "9.0.0").mkdir(parents=True)
    (settings.added_bundles / "aspects" / "9.0.0" / "manifest.json").write_text("{}")

    assert enabled(tmp_path) == {"aspects", "infarct"}


def test_what_was_asked_for_stays_even_without_a_model(tmp_path):
    write_infarct_bundle(tmp_path)

    assert enabled(tmp_path, "aspects") == {"aspects"}


def test_without_any_model_all_stay_so_that_somebody_notices(tmp_path):
    assert enabled(tmp_path) == set(PIPELINES)


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(UnknownPipeline, match="perfuse"):
        enabled(tmp_path, "perfuse")
