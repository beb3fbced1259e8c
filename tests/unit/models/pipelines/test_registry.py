"""The literal table of pipelines."""

from __future__ import annotations

import pytest

from willis_models.errors import UnknownPipeline
from willis_models.pipelines.base import Pipeline
from willis_models.pipelines.registry import PIPELINES, pipeline_named
from willis_models.runtime.bundle import latest_bundle


def test_every_pipeline_is_listed_under_its_own_name() -> None:
    assert {name: pipeline.name for name, pipeline in PIPELINES.items()} == {
        "aspects": "aspects",
        "infarct": "infarct",
    }
    assert pipeline_named("aspects").roles[0].name == "ncct"


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=lambda one: one.name)
def test_what_a_pipeline_needs_are_roles_of_its_own(pipeline: Pipeline) -> None:
    names = {role.name for role in pipeline.roles}

    assert pipeline.sufficient
    assert all(need and need <= names for need in pipeline.sufficient)
    assert pipeline.suffices(names)
    assert not pipeline.suffices(())


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPipeline, match=r"no pipeline perfuse.*aspects, infarct"):
        pipeline_named("perfuse")


@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_has_a_bundle_made_for_it(name: str) -> None:
    manifest = latest_bundle(name).manifest

    assert manifest.pipeline == name
    assert manifest.inputs[0].role in {role.name for role in PIPELINES[name].roles}
