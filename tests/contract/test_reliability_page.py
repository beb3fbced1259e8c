"""The acceptance list of ``docs/reliability.md``: complete, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

REQUIRED = [
    *(f"R{number}" for number in range(1, 22)),
    "R13b",
    *(f"R{number}" for number in (33, 37, 39, 42, 43, 44, 45, 46)),
]
_NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROW = re.compile(r"^\| (R\d+b?) \|(.*)\|$", re.MULTILINE)
_REASON = "does not apply"


@pytest.fixture(scope="module")
def rows(repository: Path) -> dict[str, str]:
    text = (repository / "docs" / "reliability.md").read_text()
    return dict(_ROW.findall(text))


def test_every_required_number_has_one_row(rows):
    assert sorted(rows) == sorted(REQUIRED)


@pytest.mark.parametrize("number", REQUIRED)
def test_every_row_names_a_test_or_says_why_there_is_none(rows, number):
    assert _NAMED_TEST.search(rows[number]) or _REASON in rows[number]


def test_every_test_that_a_page_names_exists(repository):
    named = [
        (page.name, file, name)
        for page in sorted((repository / "docs").glob("*.md"))
        for file, name in _NAMED_TEST.findall(page.read_text())
    ]

    missing = [one for one in named if one[2] not in names_in(repository / one[1])]

    assert missing == []


@cache
def names_in(file: Path) -> frozenset[str]:
    if not file.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(file.read_text()))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(n.name for n in nodes if isinstance(n, kinds) and n.name.startswith("test_"))
