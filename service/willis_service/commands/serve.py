"""``willis serve``: the service, whole or one part of it."""

from __future__ import annotations

from collections.abc import Callable

from willis_service.commands.exit_codes import ExitCode
from willis_service.roles import run_api, run_receiver, run_worker
from willis_service.settings import Settings
from willis_service.supervisor import run_all

_PARTS: dict[str, Callable[[Settings], None]] = {
    "all": run_all,
    "receiver": run_receiver,
    "worker": run_worker,
    "api": run_api,
}


def serve(settings: Settings, role: str) -> ExitCode:
    """Run until stopped."""
    _PARTS[role](settings)
    return ExitCode.OK
