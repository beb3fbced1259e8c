"""A pause of pynetdicom's reader that is sure, so that no answer is lost.

A request of ours stops the association's own reader first, which would take the answer otherwise:
it clears a checkpoint and waits until ``_is_paused`` is true. In pynetdicom 3.0 the reader may
have passed the checkpoint already and not yet have said so (``Association._run_reactor``). On a
busy machine it then takes the answer, and the sender waits for it in vain.
"""

from __future__ import annotations

from threading import Condition

from pynetdicom.association import Association


class Pause:
    """Stands in for the association's checkpoint: whoever passes it is not paused, at once."""

    def __init__(self, association: Association) -> None:
        self._association = association
        self._condition = Condition()
        self._is_open = True

    def set(self) -> None:
        """Let the reader go on."""
        with self._condition:
            self._is_open = True
            self._condition.notify_all()

    def clear(self) -> None:
        """Hold the reader at its next pass. Who passed before has said so by now."""
        with self._condition:
            self._is_open = False

    def wait(self) -> None:
        """What the reader does at the checkpoint."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_open)
            self._association._is_paused = False


def pause_surely(association: Association) -> None:
    """Give an association that has not begun to read a checkpoint of this kind."""
    association._reactor_checkpoint = Pause(association)  # type: ignore[assignment]
