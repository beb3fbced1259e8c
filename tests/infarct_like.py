"""A pipeline with the roles of a perfusion analysis and none of its insides, for tests of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.toy_pipeline import NAME, TOY, interpret
from willis_models.errors import BadOption
from willis_models.findings import QualityItem
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    NOTHING_ASKED,
    Assets,
    Case,
    Interpretation,
    Pipeline,
    Prepared,
    Request,
    Role,
)

MAPS = ("tmax", "cbf", "cbv", "mtt")
ROLES = (
    Role("ctp", "CT", "CT perfusion", required=False, kind="dynamic"),
    *(Role(name, "CT", f"{name} map", required=False, kind="map") for name in MAPS),
    Role("ncct", "CT", "non-contrast CT of the head", required=False),
    Role("cta", "CT", "CT angiography", required=False),
)
NEEDS = (frozenset({"ctp"}), frozenset({"tmax", "cbf"}))


def options_of(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """One option: the place of the artery."""
    for name, value in options.items():
        if name != "aif_lps":
            raise BadOption(f"There is no option {name}: write aif_lps.")
        if not isinstance(value, list | tuple) or len(value) != 3:
            raise BadOption("aif_lps is three numbers: x, y, z in mm.")
    return {name: tuple(float(one) for one in value) for name, value in options.items()}


def check(case: Case, manifest: Manifest) -> tuple[QualityItem, ...]:
    """Says which roles came, in what shape, and what the reader found."""
    items = [
        QualityItem(code=f"GOT_{role.upper()}", outcome="pass", message=_described(case, role))
        for role in case
    ]
    found = [item for image in case.values() for item in image.acquisition.source_items]
    return (*items, *found)


def _described(case: Case, role: str) -> str:
    image = case[role]
    dynamic = image.dynamic
    shape = image.stack.shape if dynamic is None else dynamic.frames.shape
    return f"{' x '.join(str(size) for size in shape)} {image.unit or 'HU'}"


def prepare(
    case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
) -> Prepared:
    """The first image; says what was asked for."""
    request.progress("motion")
    request.progress("curves")
    asked = QualityItem(code="ASKED", outcome="pass", message=repr(dict(request.options)))
    image = next(iter(case.values())).stack.voxels[None].astype(np.float32)
    return Prepared(image, (asked,))


def _interpret(case: Case, *rest: Any) -> Interpretation:
    return replace(interpret(case, *rest), reference_role=next(iter(case)))


INFARCT_LIKE: Pipeline = replace(
    TOY,
    roles=ROLES,
    needs=NEEDS,
    check=check,
    prepare=prepare,
    interpret=_interpret,
    options_of=options_of,
)


def infarct_like_pipelines() -> Mapping[str, Pipeline]:
    return {NAME: INFARCT_LIKE}
