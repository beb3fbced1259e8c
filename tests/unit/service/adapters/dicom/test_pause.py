"""The reader of an association is paused surely: an answer to our request is never lost to it."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from tests.archives import Archive
from willis_service.adapters.dicom.associate import Requestor
from willis_service.adapters.dicom.pause import Pause


def paused_reader() -> tuple[Any, Pause]:
    """An association whose reader has said that it pauses, just before the checkpoint."""
    association = SimpleNamespace(_is_paused=True)
    return association, Pause(association)  # type: ignore[arg-type]


def test_a_reader_that_passed_is_never_taken_for_paused() -> None:
    association, pause = paused_reader()

    pause.wait()
    pause.clear()

    assert not association._is_paused


def test_a_reader_that_is_held_stays_paused_until_it_may_go_on() -> None:
    association, pause = paused_reader()
    pause.clear()
    reader = threading.Thread(target=pause.wait)
    reader.start()
    time.sleep(0.05)
    was_paused = association._is_paused and reader.is_alive()

    pause.set()
    reader.join(5)

    assert was_paused
    assert not association._is_paused


def test_a_reader_that_was_woken_and_not_run_yet_is_held_again() -> None:
    """What happens when the next request follows at once on a busy machine."""
    association, pause = paused_reader()
    pause.clear()
    reader = threading.Thread(target=pause.wait, daemon=True)
    reader.start()
    time.sleep(0.05)

    with pause._condition:  # the reader can't run between the two
        pause._is_open = True
        pause._condition.notify_all()
        pause._is_open = False
    time.sleep(0.05)

    assert reader.is_alive() and association._is_paused
    pause.set()
    reader.join(5)


@pytest.mark.parametrize("name", ["_reactor_checkpoint", "_is_paused"])
def test_the_library_still_has_what_the_pause_stands_in_for(name: str) -> None:
    with (
        Archive() as archive,
        Requestor("TEST").associate(
            archive.address, [(str(CTImageStorage), str(ExplicitVRLittleEndian))]
        ) as association,
    ):
        assert hasattr(association, name)
        assert isinstance(association._reactor_checkpoint, Pause)
