"""``willis serve``: the service, whole or one part of it."""

from __future__ import annotations

from collections.abc import Callable

from willis_service.bootstrap.core import enabled_pipelines
from willis_service.bootstrap.delivering import destinations_of
from willis_service.bootstrap.receiving import doors_of
from willis_service.bootstrap.ruling import rules_of
from willis_service.commands.exit_codes import ExitCode
from willis_service.roles import run_api, run_courier, run_keeper, run_receiver, run_worker
from willis_service.settings import Settings
from willis_service.shipped import shipped_pipelines
from willis_service.supervisor import run_all

_PARTS: dict[str, Callable[[Settings], None]] = {
    "all": run_all,
    "receiver": run_receiver,
    "keeper": run_keeper,
    "courier": run_courier,
    "worker": run_worker,
    "api": run_api,
}


def serve(settings: Settings, role: str) -> ExitCode:
    """Run until stopped. Raises SettingsError before anything is started."""
    if settings.rules_file is not None:
        rules_of(settings, enabled_pipelines(settings, shipped_pipelines()))
    destinations_of(settings)
    tuple(doors_of(settings))
    _PARTS[role](settings)
    return ExitCode.OK
