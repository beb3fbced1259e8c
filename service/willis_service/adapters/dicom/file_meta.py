"""The file-meta header that a received data set gets (PS3.10 7.1), byte by byte.

It is written once for each instance on the way to its acknowledgement, where a general encoder
costs more than the rest of the bookkeeping.
"""

from __future__ import annotations

import struct

# Derived from a UUID of our own (PS3.5 B.2).
IMPLEMENTATION_UID = "2.25.135860604763423289318576929187529161777"
IMPLEMENTATION_VERSION = "WILLIS_1"

PREAMBLE = b"\0" * 128 + b"DICM"
_LONG = struct.Struct("<HH2sHI")
_SHORT = struct.Struct("<HH2sH")


def file_meta(
    sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, sender: str
) -> bytes:
    """Preamble, prefix and group 0002 of a file; ``sender`` is the calling AE title."""
    elements = b"".join(
        (
            _LONG.pack(2, 0x0001, b"OB", 0, 2) + b"\0\1",
            _uid(0x0002, sop_class_uid),
            _uid(0x0003, sop_instance_uid),
            _uid(0x0010, transfer_syntax_uid),
            _uid(0x0012, IMPLEMENTATION_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION.encode("ascii"), b" "),
            _element(0x0016, b"AE", sender.encode("ascii", "replace"), b" "),
        )
    )
    return PREAMBLE + _SHORT.pack(2, 0, b"UL", 4) + struct.pack("<I", len(elements)) + elements


def _uid(element: int, value: str) -> bytes:
    return _element(element, b"UI", value.encode("ascii", "replace"), b"\0")


def _element(element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    padded = value + padding * (len(value) % 2)
    return _SHORT.pack(2, element, vr, len(padded)) + padded
