"""How a command ends, and the one table from error to exit code."""

from __future__ import annotations

from enum import IntEnum

from willis_models.errors import InputError, RequestError, WillisError


class ExitCode(IntEnum):
    """Exit codes of ``willis``: scripts may rely on them."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    REJECTED = 3


_BY_BRANCH: dict[type[WillisError], ExitCode] = {
    InputError: ExitCode.REJECTED,
    RequestError: ExitCode.USAGE,
    WillisError: ExitCode.FAILURE,
}


def exit_code_of(error: WillisError) -> ExitCode:
    """The exit code for an error of the tree."""
    return next(code for branch, code in _BY_BRANCH.items() if isinstance(error, branch))
