"""What a C-STORE status means for the sender: done, try again, or don't (R42).

PS3.4 table B.2-1 and PS3.7 annex C.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from willis_service.domain.delivery import Outcome, Postponed, Refused, Sent

_SUCCESS = 0x0000
_WARNINGS = frozenset({0x0001, 0xB000, 0xB006, 0xB007})
_DUPLICATE_INSTANCE = 0x0111
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_TRANSIENT: Mapping[int, str] = MappingProxyType(
    {
        # Unspecific: archives answer it while their database or disk is away.
        0x0110: "It failed to process the object.",
        0x0213: "It lacks the resources.",
        # Answers of a service that shuts down.
        0xFE00: "It cancelled.",
    }
)
_PERMANENT: Mapping[int, str] = MappingProxyType(
    {
        0x0117: "It finds the object invalid.",
        0x0118: "It knows no such SOP class.",
        0x0122: "It does not support the SOP class.",
        0x0124: "It does not authorise us to send.",
        0x0210: "It saw the message identifier before.",
        0x0211: "It does not know the operation.",
        0x0212: "It found the message malformed.",
    }
)


def outcome_of(status: int | None) -> Outcome:
    """The outcome for a status; None where no answer came, so that nobody knows."""
    if status is None:
        message = "The association ended before it answered."
        return Postponed("NO_ANSWER", message, may_be_there=True, is_away=True)
    code = f"0x{status:04X}"
    if status == _SUCCESS:
        return Sent()
    if status in _WARNINGS:
        return Sent(code)
    if status == _DUPLICATE_INSTANCE:
        # It has an object of this UID, and ours are made from what they hold: it is this one.
        return Sent(code)
    if status in _OUT_OF_RESOURCES:
        return Postponed(code, f"It is out of resources (status {code}).")
    if status in _TRANSIENT:
        return Postponed(code, f"{_TRANSIENT[status]} Status {code}.")
    return Refused(code, f"{_reason(status)} Status {code}.")


def _reason(status: int) -> str:
    if 0xA900 <= status <= 0xA9FF:
        return "The data set does not match its SOP class."
    if 0xC000 <= status <= 0xCFFF:
        return "It can't understand the object."
    return _PERMANENT.get(status, "It refused the object.")
