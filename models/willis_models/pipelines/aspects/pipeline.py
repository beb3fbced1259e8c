"""The pipeline as a value."""

from __future__ import annotations

from willis_models.pipelines.aspects.check import check
from willis_models.pipelines.aspects.interpret import interpret
from willis_models.pipelines.aspects.prepare import ROLE, prepare
from willis_models.pipelines.base import Pipeline, Role

ASPECTS = Pipeline(
    name="aspects",
    title="ASPECTS from non-contrast CT",
    roles=(Role(ROLE, "CT", "Non-contrast head CT"),),
    check=check,
    prepare=prepare,
    interpret=interpret,
)
