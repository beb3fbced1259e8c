"""Coded concepts: one meaning for each code, and no arterial segment for a region."""

from __future__ import annotations

from collections import defaultdict

from willis_models import codes
from willis_models.codes import (
    ASPECTS_REGIONS,
    ASPECTS_STRUCTURES,
    MEASUREMENTS,
    PRIVATE_SCHEME,
    Code,
    private_codes,
    reason,
)

EVERY = [
    *(value for value in vars(codes).values() if isinstance(value, Code)),
    *ASPECTS_STRUCTURES.values(),
    *MEASUREMENTS.values(),
    *codes.STATES.values(),
    *codes.QUALITY_OUTCOMES.values(),
    *codes.UNITS.values(),
    *codes.MAPS.values(),
    *codes.VESSELS.values(),
    *codes.CRITERION_OUTCOMES.values(),
]


def test_a_code_has_one_meaning_only() -> None:
    meanings = defaultdict(set)
    for code in EVERY:
        meanings[code.scheme, code.value].add(code.meaning)

    assert {code: found for code, found in meanings.items() if len(found) > 1} == {}


def test_values_and_meanings_fit_their_dicom_fields() -> None:
    assert all(len(code.value) <= 16 and len(code.meaning) <= 64 for code in EVERY)


def test_every_private_code_in_use_is_listed() -> None:
    mine = {code for code in EVERY if code.scheme == PRIVATE_SCHEME}

    assert set(private_codes()) == mine
    assert [code.value for code in private_codes()] == sorted(code.value for code in mine)


def test_the_ten_regions_are_in_their_order_and_none_is_an_artery() -> None:
    assert ASPECTS_REGIONS == ("C", "L", "I", "IC", "M1", "M2", "M3", "M4", "M5", "M6")
    assert not {"414722000", "414723005"} & {code.value for code in EVERY}


def test_a_reason_reads_as_words() -> None:
    assert reason("BRAIN_NOT_PLAUSIBLE") == Code(
        "BRAIN_NOT_PLAUSIBLE", PRIVATE_SCHEME, "Brain not plausible"
    )
