"""The whole embedded service as a process: ``python -m tests.e2e.toy_service NAME``.

NAME: toy, slow, broken, or infarct, which is the real pipeline alone. Settings come from the
environment, as always.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from tests import toy_pipeline
from willis_models.pipelines.base import Pipeline
from willis_models.pipelines.infarct.pipeline import INFARCT
from willis_service.settings import load_settings
from willis_service.supervisor import run_all


def infarct_pipelines() -> Mapping[str, Pipeline]:
    return {INFARCT.name: INFARCT}


PIPELINES = {
    "toy": toy_pipeline.toy_pipelines,
    "slow": toy_pipeline.slow_pipelines,
    "broken": toy_pipeline.broken_pipelines,
    "infarct": infarct_pipelines,
}

if __name__ == "__main__":
    run_all(load_settings(), PIPELINES[sys.argv[1]])
