"""One worker process with the toy pipeline: ``python -m tests.toy_worker SECONDS [deaf|deadly]``.

Each analysis takes so many seconds. A deaf worker stays connected and consumes nothing; a deadly
study ends the worker that prepares it. Settings come from the environment, as always.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import signals

from tests.toy_pipeline import NAME, TOY, prepare
from willis_models.manifest import Manifest
from willis_models.pipelines.base import (
    NOTHING_ASKED,
    Assets,
    Case,
    Pipeline,
    Prepared,
    Request,
)
from willis_service.roles import run_worker
from willis_service.settings import load_settings


def paced(seconds: float, is_deadly: bool) -> Mapping[str, Pipeline]:
    def slow_prepare(
        case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
    ) -> Prepared:
        if is_deadly:
            os._exit(9)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.01)
        return prepare(case, manifest, assets)

    return {NAME: replace(TOY, prepare=slow_prepare)}


def stop_listening(sender: Any, **_: object) -> None:
    sender.task_consumer.cancel()


if __name__ == "__main__":
    manner = sys.argv[2] if len(sys.argv) > 2 else ""
    if manner == "deaf":
        signals.worker_ready.connect(stop_listening)
    run_worker(load_settings(), lambda: paced(float(sys.argv[1]), manner == "deadly"))
