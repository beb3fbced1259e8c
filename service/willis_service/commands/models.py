"""``willis models``: the bundles of this installation, which one is live, and changing that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_service.application.model_desk import ModelDesk
from willis_service.application.ports.models import ModelEntry
from willis_service.commands.console import out
from willis_service.commands.exit_codes import ExitCode
from willis_service.domain.models import ModelDecision
from willis_service.domain.shadow import ShadowRun, ShadowSummary, summaries_of

_NOTHING = "-"


def list_models(desk: ModelDesk) -> ExitCode:
    """List each bundle with its identity. Raises BundleError for a damaged one."""
    table = Table("Model", "Version", "Role", "Signature", "Made", "Weights SHA-256", "Learnt from")
    for entry in desk.entries():
        table.add_row(*_entry_row(entry))
    if not table.row_count:
        out().print("No bundle is installed: WILLIS_BUNDLE_ROOT names their folder.")
        return ExitCode.FAILURE
    out().print(table)
    out().print(INTENDED_USE_STATEMENT, style="italic", markup=False, soft_wrap=True)
    return ExitCode.OK


def add(desk: ModelDesk, folder: Path) -> ExitCode:
    """Copy a bundle into the installation."""
    version = desk.add(folder).version
    text = f"Version {version} is here. It is not live: try it in shadow, then promote it."
    out().print(text, markup=False)
    return ExitCode.OK


def promote(desk: ModelDesk, pipeline: str, version: str, who: str, why: str) -> ExitCode:
    """Make a version live."""
    return _report(desk.promote(pipeline, version, who, why))


def roll_back(desk: ModelDesk, pipeline: str, who: str, why: str) -> ExitCode:
    """Make the version before live again."""
    return _report(desk.roll_back(pipeline, who, why))


def shadow(desk: ModelDesk, pipeline: str, version: str | None, who: str, why: str) -> ExitCode:
    """Run a version in shadow, or none any more."""
    if version is None:
        return _report(desk.end_shadow(pipeline, who, why))
    return _report(desk.shadow(pipeline, version, who, why))


def history(desk: ModelDesk, pipeline: str) -> ExitCode:
    """Print what was decided, newest first."""
    table = Table("When", "What", "Version", "Digest", "Who", "Why")
    for one in desk.history(pipeline):
        version, digest = (one.bundle.version, one.bundle.sha256[:12]) if one.bundle else ("", "")
        when = one.at.isoformat(timespec="seconds")
        table.add_row(when, str(one.action), version, digest, one.who, one.why)
    out().print(table if table.row_count else "Nobody has chosen a version: the highest is live.")
    return ExitCode.OK


def compare(desk: ModelDesk, pipeline: str, worst: int) -> ExitCode:
    """Print how far candidates were from the live model, and the studies where most."""
    runs = desk.shadow_runs(pipeline)
    if not runs:
        out().print("No study was seen by a candidate yet: willis models shadow starts one.")
        return ExitCode.OK
    table = Table("", title=f"{pipeline}: candidates beside the live model", title_justify="left")
    summaries = summaries_of(runs)
    for one in summaries:
        table.add_column(f"{one.candidate.version} beside {one.live.version}")
    for row in zip(*[_summary_cells(one) for one in summaries], strict=True):
        table.add_row(row[0][0], *[text for _, text in row])
    out().print(table)
    _print_worst(runs, worst)
    out().print(INTENDED_USE_STATEMENT, style="italic", markup=False, soft_wrap=True)
    return ExitCode.OK


def _report(decision: ModelDecision) -> ExitCode:
    version = decision.bundle.version if decision.bundle else "none"
    said = f"{decision.pipeline}: {decision.action}, version {version}, by {decision.who}."
    out().print(f"{said} New jobs follow it at once, without a restart.", markup=False)
    return ExitCode.OK


def _entry_row(entry: ModelEntry) -> tuple[str, ...]:
    card = entry.manifest
    signature = f"{entry.signature}: {entry.signer}" if entry.signer else entry.signature
    sources = ", ".join(f"{one.name} ({one.licence})" for one in card.learnt_from)
    named = (card.name, card.version, str(entry.role), signature, card.created)
    return (*named, card.weights_sha256[:12], sources)


def _summary_cells(one: ShadowSummary) -> list[tuple[str, str]]:
    return [
        ("studies", str(one.studies)),
        ("candidate failed", str(one.failed)),
        ("one rejected, one not", str(one.other_status)),
        ("equal scores", f"{one.equal_scores} of {one.scores}"),
        ("mean change of the score", _number(one.mean_score_change, "+.2f")),
        ("largest change of the score", _number(one.largest_score_change, "+d")),
        ("segments in another state, mean", _number(one.mean_changed_states, ".1f")),
        ("Dice between the masks, mean", _number(one.mean_dice, ".3f")),
        ("Dice, lowest study", _number(one.lowest_dice, ".3f")),
        ("median time, live", _seconds(one.live_s)),
        ("median time, candidate", _seconds(one.candidate_s)),
    ]


def _print_worst(runs: Sequence[ShadowRun], count: int) -> None:
    """The jobs to look at first: failures, then the largest differences."""
    table = Table("Job", "Candidate", "Live / candidate", "Score", "States", "Dice", "Code")
    for run in sorted(runs, key=_agreement)[:count]:
        status = f"{run.live_status} / {run.candidate_status or 'failed'}"
        score = _number(run.largest_score_change, "d")
        states = _number(run.changed_states, "d")
        dice = _number(run.mean_dice, ".3f")
        code = run.error_code or ""
        table.add_row(run.job_id, run.candidate.version, status, score, states, dice, code)
    out().print(table)


def _agreement(run: ShadowRun) -> tuple[bool, bool, int, float]:
    """The less the candidate agrees, the lower."""
    failed, other = run.error_code is not None, not run.agrees_on_status
    dice = 1.0 if run.mean_dice is None else run.mean_dice
    return not failed, not other, -(run.largest_score_change or 0), dice


def _number(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def _seconds(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.1f} s"
