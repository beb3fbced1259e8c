from __future__ import annotations

import os

from willis_training.machine import this_machine


def test_the_machine_is_named_with_its_cores_and_without_its_host() -> None:
    found = this_machine()
    assert f"{os.cpu_count()} cores" in found
    assert os.uname().nodename not in found
