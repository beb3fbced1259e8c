"""Why a study is no input: what is missing, and what speaks against each of its series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from willis_models.errors import NoSuitableSeries, WillisError, WrongModality
from willis_models.pipelines.base import Role
from willis_service.adapters.dicom.files import SeriesListing
from willis_service.adapters.dicom.reasons import Reason
from willis_service.adapters.dicom.series_names import called

# Scans of the right kind all the same.
_CANDIDATES = frozenset({"DYNAMIC_SERIES", "NOT_AXIAL", "DERIVED_IMAGE", "TOO_FEW_TIME_POINTS"})
_NOT_THAT_MAP = frozenset({"NO_RULE", "NOT_DICOM", "NOT_AN_IMAGE", "DOSE_REPORT", "NOT_THIS_MAP"})
_NEARLY_DYNAMIC = frozenset({"TOO_FEW_TIME_POINTS", "TIMES_UNKNOWN"})


@dataclass(frozen=True)
class Missing:
    """A role that no series takes, and what speaks against each."""

    role: Role
    refused: tuple[tuple[SeriesListing, Reason], ...]

    @property
    def is_all_but_taken(self) -> bool:
        """Whether a series is of the right kind and fails at something else."""
        codes = {reason.code for _, reason in self.refused}
        return bool(codes - _NOT_THAT_MAP if self.role.kind == "map" else codes & _NEARLY_DYNAMIC)


def nothing_suffices(
    needs: Sequence[frozenset[str]], missing: Mapping[str, Missing]
) -> WillisError | None:
    """What is missing of the set of roles that is nearest to being full; None where one is."""
    lacking = [sorted(need & missing.keys()) for need in needs]
    if not lacking or not all(lacking):
        return None

    def distance(at: int) -> float:
        """The part of the set that is missing; a role that a series all but takes counts half."""
        roles = (missing[name] for name in lacking[at])
        return sum(0.5 if role.is_all_but_taken else 1.0 for role in roles) / len(needs[at])

    nearest = lacking[min(range(len(needs)), key=distance)]
    errors = [nothing_fits(missing[name]) for name in nearest]
    if len(errors) == 1:
        return errors[0]
    return NoSuitableSeries(" ".join(error.message for error in errors))


def nothing_fits(missing: Missing) -> WillisError:
    """The named error if only one stands against all candidates, else all reasons in one.

    What can't be a candidate at all (a localizer, a report) does not count; another modality
    counts only where there is nothing else.
    """
    role, refused = missing.role, missing.refused
    named = {reason.error for _, reason in refused if reason.error is not None}
    candidates = named - {WrongModality} or named
    technical = any(reason.error is None and _is_candidate(reason) for _, reason in refused)
    if missing.is_all_but_taken and role.kind == "map":
        refused = tuple((one, why) for one, why in refused if why.code not in _NOT_THAT_MAP)
    summary = "; ".join(f"{called(one)}: {reason.text}" for one, reason in refused)
    message = f"No series fits as {role.title}. {summary or 'There is no series at all'}."
    if len(candidates) == 1 and not technical:
        return candidates.pop()(message)
    return NoSuitableSeries(message)


def _is_candidate(reason: Reason) -> bool:
    """Whether a series with this reason was a scan of the right kind all the same."""
    return reason.code in _CANDIDATES
