"""The pipelines that come with Willis, loaded only where they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from willis_models.pipelines.base import Pipeline

Pipelines = Mapping[str, Pipeline]
PipelineSource = Callable[[], Pipelines]
"""Gives the pipelines; a function, because processes are started with it."""


def shipped_pipelines() -> Pipelines:
    """The literal table of ``willis_models``. Its imaging libraries take a second to import, which
    the supervisor's own process is spared."""
    from willis_models.pipelines.registry import PIPELINES

    return PIPELINES
