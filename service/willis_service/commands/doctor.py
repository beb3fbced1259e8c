"""``willis doctor``: can this machine run the service, and if not, what to do."""

from __future__ import annotations

from rich.table import Table

from willis_service.commands.checks import all_checks
from willis_service.commands.console import count_bar, out
from willis_service.commands.exit_codes import ExitCode
from willis_service.settings import Settings

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(settings: Settings) -> ExitCode:
    """Run every check and print what was found and how to fix it."""
    checks = []
    with count_bar("Looking", 9) as progress:
        for check in all_checks(settings):
            checks.append(check)
            progress(min(len(checks), 9))
    table = Table("Check", "Outcome", "Found", "What to do")
    for check in checks:
        outcome = f"[{_STYLES[check.outcome]}]{check.outcome}[/]"
        table.add_row(check.name, outcome, check.found, check.fix)
    out().print(table)
    failed = any(check.outcome == "fail" for check in checks)
    return ExitCode.FAILURE if failed else ExitCode.OK
