"""What a caller may ask for: arteries and veins measured at places of their own choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from willis_models.errors import BadOption

Point = tuple[float, float, float]


class InfarctOptions(BaseModel):
    """Places of the arterial input and the venous output, DICOM LPS millimetres (x, y, z)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    aif_lps: Point | None = None
    vof_lps: Point | None = None


def read_options(options: Mapping[str, Any]) -> InfarctOptions:
    """Raises BadOption for an unknown option, or one that is not a point."""
    try:
        return InfarctOptions.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        known = ", ".join(InfarctOptions.model_fields)
        raise BadOption(
            f"Option {name}: {first['msg']}. Known are {known}, each a point x,y,z in mm (LPS)."
        ) from error


def options_of(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options as they are stored: validated, without what was not given."""
    return read_options(options).model_dump(mode="json", exclude_none=True)
