"""What a pipeline puts into the frame of the report page."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from willis_models.pipelines.base import Analysis, InputImage


@dataclass(frozen=True)
class Content:
    """The picture that stands for the whole report, and what the part's template shows."""

    png: bytes
    shown: Mapping[str, object]


@dataclass(frozen=True)
class Part:
    """A pipeline's part: its template and what fills it, from an analysis that has images."""

    template: str
    fill: Callable[[Analysis, InputImage], Content]
    title: str | None = None


def embedded(png: bytes) -> str:
    """A picture as the page carries it."""
    return base64.b64encode(png).decode("ascii")
