"""Processes for several devices: numbered, heard, and ended when one of them fails."""

from __future__ import annotations

import os

import pytest

from willis_training.fitting.launching import launch
from willis_training.fitting.listener import Lines, Listener


def introduce_or_fail(listener: Listener) -> None:
    """What a launched process does; here because another process has to import it."""
    listener.line(f"{os.environ['RANK']} of {os.environ['WORLD_SIZE']}")
    listener.step(1, 2, 0.5)
    raise RuntimeError("this process fails")


def test_a_process_is_heard_and_what_it_raises_reaches_the_one_that_launched_it() -> None:
    said: list[str] = []

    with pytest.raises(Exception, match="this process fails"):
        launch(introduce_or_fail, 1, Lines(said.append))

    assert said == ["0 of 1"]
