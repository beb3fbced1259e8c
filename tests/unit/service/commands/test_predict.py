"""Options on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from willis_models.errors import BadOption
from willis_service.commands.predict import parsed_options


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("aif_lps=10,-20,35.5", [10, -20, 35.5]),
        ("aif_lps=[10, -20, 35]", [10, -20, 35]),
        ("method=oSVD", "oSVD"),
        ("count=3", 3),
        ("ask=true", True),
        ('curve={"a": 1}', {"a": 1}),
        ("empty=", ""),
    ],
)
def test_a_value_is_numbers_or_json_or_text(text: str, value: Any) -> None:
    options = parsed_options([text])

    assert options == {text.partition("=")[0]: value}


@pytest.mark.parametrize("texts", [["aif_lps"], ["=3"], ["a=1", "a=2"]])
def test_what_is_no_option_is_named(texts: list[str]) -> None:
    with pytest.raises(BadOption, match="name=value"):
        parsed_options(texts)
