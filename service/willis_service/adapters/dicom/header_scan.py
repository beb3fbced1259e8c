"""A quick look for the four identifiers of a data set, on the way to every acknowledgement.

It walks the elements of the common little-endian encodings without making an object of any of
them. Whatever it does not know for certain it leaves to pydicom, by finding nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

STUDY, SERIES, SOP_INSTANCE, SOP_CLASS = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016
IDENTIFIERS = (STUDY, SERIES, SOP_INSTANCE, SOP_CLASS)
"""In the order of ``InstanceIdentity``."""
LAST_IDENTIFIER = SERIES

_IMPLICIT = "1.2.840.10008.1.2"
_UNKNOWN_TO_SCAN = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})
_SHORT, _LONG = struct.Struct("<HH2sH"), struct.Struct("<HHI")
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_UNDEFINED = 0xFFFFFFFF
_DELIMITERS, _ITEM, _SEQUENCE_END = 0xFFFE, 0xE000, 0xE0DD


class _Unsure(Exception):
    """The data set is written in a way that is left to pydicom."""


def scan(head: memoryview, transfer_syntax_uid: str) -> Mapping[int, bytes] | None:
    """The identifiers' values by tag, from the first bytes of a data set; None if unsure."""
    if transfer_syntax_uid in _UNKNOWN_TO_SCAN:
        return None
    walk = _Walk(head, is_implicit=transfer_syntax_uid == _IMPLICIT)
    try:
        return walk.identifiers()
    except (_Unsure, struct.error):
        return None


class _Walk:
    """A position that moves through the elements."""

    def __init__(self, content: memoryview, is_implicit: bool) -> None:
        self._content = content
        self._is_implicit = is_implicit
        self._position = 0

    def identifiers(self) -> Mapping[int, bytes]:
        found: dict[int, bytes] = {}
        previous = -1
        while len(found) < len(IDENTIFIERS):
            tag, length = self._next_element()
            if tag <= previous or tag > LAST_IDENTIFIER:
                raise _Unsure
            previous, start = tag, self._position
            self._skip_value(length)
            if tag in IDENTIFIERS:
                found[tag] = bytes(self._content[start : self._position])
        return found

    def _next_element(self) -> tuple[int, int]:
        """Tag and length of the element here; the position is then at its value."""
        if self._is_implicit:
            group, element, length = _LONG.unpack_from(self._content, self._position)
            self._position += 8
            return group << 16 | element, length
        group, element, vr, length = _SHORT.unpack_from(self._content, self._position)
        tag = group << 16 | element
        if vr in _SHORT_VRS:
            self._position += 8
            return tag, length
        if vr not in _LONG_VRS:
            raise _Unsure
        (length,) = struct.unpack_from("<I", self._content, self._position + 8)
        self._position += 12
        if vr == b"UN" and length == _UNDEFINED:
            raise _Unsure  # its content is implicit (PS3.5 6.2.2)
        return tag, length

    def _skip_value(self, length: int) -> None:
        if length == _UNDEFINED:
            self._skip_sequence()
        else:
            self._position += length
        if self._position > len(self._content):
            raise _Unsure

    def _skip_sequence(self) -> None:
        """Past the end of a sequence of undefined length, and of those inside it."""
        depth = 1
        while depth:
            group, element, length = _LONG.unpack_from(self._content, self._position)
            if group != _DELIMITERS:
                _, length = self._next_element()
                if length == _UNDEFINED:
                    depth += 1
                else:
                    self._skip_value(length)
                continue
            self._position += 8
            if element == _SEQUENCE_END:
                depth -= 1
            elif element == _ITEM and length != _UNDEFINED:
                self._skip_value(length)
