"""Reconstruction kernels: soft-tissue or sharp, by each maker's naming."""

from __future__ import annotations

import re
from typing import Literal

Sharpness = Literal["soft", "sharp", "unknown"]

# GE, and words that any maker uses.
_SHARP_WORDS = ("BONE", "EDGE", "LUNG", "SHARP", "ULTRA", "DETAIL+")
_SOFT_WORDS = ("STAND", "STD", "SOFT", "BRAIN", "CEREB", "SMOOTH", "DETAIL", "NEURO")
# Siemens: letters and a number that grows with sharpness, such as H31s, J40s, Hr40f, Br64.
_SIEMENS = re.compile(r"^[A-Z]{1,2}(\d{2})[A-Z]?\b")
_SIEMENS_SHARP_FROM = 55
# Canon and Toshiba: FC01-29 and 40-49 soft, 60-69 head with beam-hardening correction.
_CANON = re.compile(r"^FC(\d{2})")
_CANON_SHARP = frozenset((3, 5, 8))
_PHILIPS: dict[str, Sharpness] = {
    **dict.fromkeys(("A", "B", "C", "UA", "UB", "UC", "EA", "EB", "EC", "SA", "SB"), "soft"),
    **dict.fromkeys(("D", "E", "L", "YA", "YB", "YC", "YD", "YE"), "sharp"),
}


def sharpness(kernel: str | None) -> Sharpness:
    """Whether a ConvolutionKernel (0018,1210) is for soft tissue; "unknown" is no reproach."""
    name = (kernel or "").strip().upper()
    if any(word in name for word in _SHARP_WORDS):
        return "sharp"
    if any(word in name for word in _SOFT_WORDS):
        return "soft"
    if canon := _CANON.match(name):
        return "sharp" if int(canon[1]) // 10 in _CANON_SHARP else "soft"
    if siemens := _SIEMENS.match(name):
        return "sharp" if int(siemens[1]) >= _SIEMENS_SHARP_FROM else "soft"
    return _PHILIPS.get(name, "unknown")
