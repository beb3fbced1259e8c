"""What a peer answers to our association request is understood, however quick it is."""

from __future__ import annotations

import threading
import time

import pytest
from pynetdicom import transport

from tests.archives import Archive
from willis_models.errors import DestinationRefused, DestinationUnreachable
from willis_service.adapters.dicom.associate import Requestor, Timeouts

VERIFICATION = ("1.2.840.10008.1.1", "1.2.840.10008.1.2.1")
OURS = Requestor("WILLIS", Timeouts(5, 5, 5))


class _SlowLook(threading.Event):
    """Lets whoever waits for a connection look at it late."""

    def wait(self, timeout: float | None = None) -> bool:
        is_set = super().wait(timeout)
        time.sleep(0.3)
        return is_set


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requestor looks at its connection when the answer has come already."""
    begin = transport.AssociationSocket.__init__

    def begin_slowly(self, *given, **named):  # type: ignore[no-untyped-def]
        begin(self, *given, **named)
        self._ready = _SlowLook()

    monkeypatch.setattr(transport.AssociationSocket, "__init__", begin_slowly)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize(
    ("rejection", "error"),
    [((1, 1, 7), DestinationRefused), ((2, 3, 1), DestinationUnreachable)],
)
def test_a_rejection_that_comes_at_once_is_no_failed_connection(rejection, error):
    with (
        Archive(rejects=rejection) as archive,
        pytest.raises(error, match="rejected the association"),
        OURS.associate(archive.address, [VERIFICATION]),
    ):
        pass
