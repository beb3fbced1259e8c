"""Why a study was taken as complete, as its report says it."""

from __future__ import annotations

from typing import Literal

from willis_models.findings import QualityItem
from willis_service.domain.completeness import Basis

CODE = "STUDY_COMPLETENESS"
_SAID: dict[Basis, tuple[Literal["pass", "warn"], str]] = {
    Basis.CONTIGUOUS_SLICES: ("pass", "the slices are contiguous and cover the head."),
    Basis.TIME_POINTS: ("pass", "every slice has the same number of time points."),
    Basis.MULTI_FRAME: ("pass", "it is one multi-frame object."),
    Basis.QUIET_PERIOD: ("pass", "no more images came for the quiet period."),
    Basis.UPPER_LIMIT: (
        "warn",
        "images still came when the longest wait was over; later ones amend this result.",
    ),
}


def completeness_item(basis: Basis) -> QualityItem:
    """The quality item for this basis; its message begins with the basis in fixed words."""
    outcome, said = _SAID[basis]
    return QualityItem(code=CODE, outcome=outcome, message=f"Taken as complete ({basis}): {said}")
