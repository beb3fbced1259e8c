"""The one error tree: its codes are unique and its picture is true."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from willis_models import errors
from willis_models.errors import WillisError


def tree(root: type[WillisError], depth: int = 0) -> Iterator[tuple[int, type[WillisError]]]:
    yield depth, root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


ALL = [error for _, error in tree(WillisError)]
LEAVES = [error for error in ALL if not any(c in ALL for c in error.__subclasses__())]


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ALL]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[A-Z0-9]+(_[A-Z0-9]+)+", code) for code in codes)


def test_the_picture_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^    ([│ ├└─]*)(\w+)(?= |$)", errors.__doc__ or "", re.MULTILINE)

    assert [(len(branch) // 4, name) for branch, name in drawn] == [
        (depth, error.__name__) for depth, error in tree(WillisError)
    ]


@pytest.mark.parametrize("error", LEAVES)
def test_every_leaf_says_what_it_means_in_one_sentence(error: type[WillisError]) -> None:
    assert (error.__doc__ or "").strip().endswith(".")
    assert error("What to do.").message == "What to do."


def test_only_what_this_installation_can_not_do_now_is_worth_another_try() -> None:
    retryable = {error.__name__ for error in LEAVES if error.retryable}

    assert retryable == {
        "StorageFull",
        "BrokerUnavailable",
        "DatabaseUnavailable",
        "QueueTooLong",
        "DeadlineExceeded",
        "DestinationUnreachable",
    }
