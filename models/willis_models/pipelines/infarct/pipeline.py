"""The pipeline as a value."""

from __future__ import annotations

from willis_models.pipelines.base import Pipeline
from willis_models.pipelines.infarct.check import check
from willis_models.pipelines.infarct.interpret import interpret
from willis_models.pipelines.infarct.options import options_of
from willis_models.pipelines.infarct.prepare import prepare
from willis_models.pipelines.infarct.roles import CTP, NEEDS, ROLES

INFARCT = Pipeline(
    name="infarct",
    title="Infarct from CT perfusion",
    roles=ROLES,
    check=check,
    prepare=prepare,
    interpret=interpret,
    needs=NEEDS,
    options_of=options_of,
    places={"aif_lps": CTP, "vof_lps": CTP},
)
