"""Damaged objects: flipped bytes, cuts, swapped stretches, lengths that lie."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from tests.chaos.studies import Instance, Studies


def mutants(studies: Studies, rng: random.Random, count: int) -> Iterator[list[Instance]]:
    """Studies of which at least one object is damaged."""
    for _ in range(count):
        whole = studies.make().instances
        damaged = rng.sample(range(len(whole)), rng.choice((1, 1, 3, len(whole))))
        yield [
            replace(one, data_set=spoiled(one.data_set, rng)) if n in damaged else one
            for n, one in enumerate(whole)
        ]


def spoiled(content: bytes, rng: random.Random) -> bytes:
    """The content with one kind of damage."""
    return rng.choice(_DAMAGES)(bytearray(content), rng)


def _flip_in_header(content: bytearray, rng: random.Random) -> bytes:
    # The pixels are most of an object and the least of its structure.
    for _ in range(rng.randint(1, 8)):
        content[rng.randrange(min(1200, len(content)))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _flip_anywhere(content: bytearray, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 60)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(content)


def _cut(content: bytearray, rng: random.Random) -> bytes:
    return bytes(content[: rng.randrange(len(content))])


def _cut_out(content: bytearray, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    del content[start : start + rng.randint(1, 64)]
    return bytes(content)


def _lie_about_a_length(content: bytearray, rng: random.Random) -> bytes:
    at = rng.randrange(0, min(1200, len(content) - 4), 2)
    content[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0"))
    return bytes(content)


def _nothing(content: bytearray, rng: random.Random) -> bytes:
    return b"\0" * rng.randrange(1, 16)


_DAMAGES = (
    _flip_in_header,
    _flip_in_header,
    _flip_anywhere,
    _cut,
    _cut_out,
    _lie_about_a_length,
    _nothing,
)
