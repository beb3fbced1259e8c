"""Chaos that needs a service of its own: on a disk that fills, or whose power can be cut."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from tests.chaos.disks import NotPossible
from tests.chaos.scenarios import OWN, witness_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("echoscu") is None, reason="dcmtk is not installed (apt-get install dcmtk)"
    ),
]
SEED = "1"


@pytest.mark.parametrize("name", OWN)
def test_a_service_of_its_own_survives(name: str, tmp_path: Path):
    make_rig, scenario = OWN[name]

    try:
        with make_rig(tmp_path) as rig:
            scenario(witness_of(rig, SEED), random.Random(f"{SEED}-{name}"))
    except NotPossible as reason:
        pytest.skip(str(reason))
