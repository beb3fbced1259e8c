"""The whole embedded service as a process, with the toy pipeline: ``python -m tests.e2e.toy_service
toy|slow|broken``. Settings come from the environment, as always."""

from __future__ import annotations

import sys

from tests import toy_pipeline
from willis_service.settings import load_settings
from willis_service.supervisor import run_all

PIPELINES = {
    "toy": toy_pipeline.toy_pipelines,
    "slow": toy_pipeline.slow_pipelines,
    "broken": toy_pipeline.broken_pipelines,
}

if __name__ == "__main__":
    run_all(load_settings(), PIPELINES[sys.argv[1]])
