"""``willis models``: the bundles of this installation."""

from __future__ import annotations

from rich.table import Table

from willis_models.runtime.bundle import find_bundles, load_bundle
from willis_service.commands.console import out
from willis_service.commands.exit_codes import ExitCode
from willis_service.settings import Settings


def models(settings: Settings) -> ExitCode:
    """List each bundle with its identity. Raises BundleError for a damaged one."""
    table = Table("Model", "Version", "Pipeline", "Made", "Weights SHA-256", "Learnt from")
    for folder in find_bundles(settings.bundle_root):
        card = load_bundle(folder).manifest
        sources = ", ".join(f"{one.name} ({one.licence})" for one in card.learnt_from)
        row = (card.name, card.version, card.pipeline, card.created, card.weights_sha256[:12])
        table.add_row(*row, sources)
    if not table.row_count:
        out().print(f"No bundle under {settings.bundle_root}.", markup=False)
        return ExitCode.FAILURE
    out().print(table)
    return ExitCode.OK
