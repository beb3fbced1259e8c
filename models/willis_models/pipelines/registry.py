"""The pipelines, listed by hand. A new one is a folder, a line here and a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from willis_models.errors import UnknownPipeline
from willis_models.pipelines.aspects.pipeline import ASPECTS
from willis_models.pipelines.base import Pipeline
from willis_models.pipelines.infarct.pipeline import INFARCT

PIPELINES: Mapping[str, Pipeline] = MappingProxyType({one.name: one for one in (ASPECTS, INFARCT)})


def pipeline_named(name: str) -> Pipeline:
    """The pipeline of this name. Raises UnknownPipeline."""
    try:
        return PIPELINES[name]
    except KeyError:
        known = ", ".join(sorted(PIPELINES))
        raise UnknownPipeline(f"There is no pipeline {name}. Known: {known}.") from None
