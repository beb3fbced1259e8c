"""The toy pipeline for chaos: it takes a moment, so that faults meet it at work, and can be killed.

A study with a voxel of ``POISON_HU`` in a corner takes its worker down, as a bug in a native
library would.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace

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

POISON_HU = 1234
PREPARE_S = 0.4


def brisk_prepare(
    case: Case, manifest: Manifest, assets: Assets, request: Request = NOTHING_ASKED
) -> Prepared:
    if (case["ncct"].stack.voxels[:, 0, 0] == POISON_HU).any():
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(PREPARE_S)
    return prepare(case, manifest, assets)


def chaos_pipelines() -> Mapping[str, Pipeline]:
    return {NAME: replace(TOY, prepare=brisk_prepare)}
