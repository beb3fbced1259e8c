"""The manifest's part for the perfusion core."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from willis_models.perfusion.parameters import DEFAULTS, PerfusionParameters


def test_the_defaults_survive_the_way_through_a_manifest() -> None:
    assert PerfusionParameters.model_validate_json(DEFAULTS.model_dump_json()) == DEFAULTS


def test_an_unknown_key_is_refused() -> None:
    values = DEFAULTS.model_dump()
    values["noise"]["targt_hu"] = 0.3
    with pytest.raises(ValidationError):
        PerfusionParameters.model_validate(values)


@pytest.mark.parametrize("group", list(PerfusionParameters.model_fields))
def test_nothing_has_a_silent_default(group: str) -> None:
    values = DEFAULTS.model_dump()
    for key in list(values[group]):
        left_out = {**values, group: {k: v for k, v in values[group].items() if k != key}}
        with pytest.raises(ValidationError):
            PerfusionParameters.model_validate(left_out)
