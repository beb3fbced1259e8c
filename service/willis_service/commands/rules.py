"""``willis rules``: is the rule file right, and what would it do with a study."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from willis_models.errors import BadUpload
from willis_models.pipelines.base import Pipeline
from willis_service.application.ports import Choice
from willis_service.bootstrap.core import enabled_pipelines
from willis_service.bootstrap.ruling import read_rules, rules_of, selector_of
from willis_service.commands.console import err, out
from willis_service.commands.exit_codes import ExitCode
from willis_service.commands.send import dicom_series, files_of
from willis_service.domain.completeness import Lack
from willis_service.domain.rule_file import RuleFileInvalid
from willis_service.domain.rules import RuleSet
from willis_service.settings import Settings
from willis_service.shipped import Pipelines, PipelineSource, shipped_pipelines


def check(
    settings: Settings, file: Path | None, source: PipelineSource = shipped_pipelines
) -> ExitCode:
    """Say what is wrong in the file, line by line, or list the rules as they were understood."""
    rules = _rules(file, settings, enabled_pipelines(settings, source()))
    if rules is None:
        return ExitCode.USAGE
    table = Table("Rank", "Rule", "Takes", "Role", "Lane", title="Rules", title_justify="left")
    for rule in sorted(rules.rules, key=lambda one: (one.pipeline, one.role, one.rank)):
        takes = ", ".join(rule.conditions) or "everything"
        role = f"{rule.pipeline} / {rule.role}"
        table.add_row(str(rule.rank), rule.name, takes, role, str(rule.priority))
    out().print(table)
    out().print(f"No mistake found; number of rules: {len(rules.rules)}.", markup=False)
    return ExitCode.OK


def try_rules(
    settings: Settings,
    study: Path,
    file: Path | None,
    sender: str | None,
    source: PipelineSource = shipped_pipelines,
) -> ExitCode:
    """Show what each series of the study would be taken for, and start nothing."""
    pipelines = enabled_pipelines(settings, source())
    rules = _rules(file, settings, pipelines)
    if rules is None:
        return ExitCode.USAGE
    files = dict.fromkeys(_files_of_one_study(study), sender)
    select = selector_of(rules)
    choices = {one.name: select(one, files) for one in pipelines.values()}
    for name, choice in choices.items():
        _show(pipelines[name], choice)
    is_analysed = any(one.is_asked_for and one.problem is None for one in choices.values())
    return ExitCode.OK if is_analysed else ExitCode.REJECTED


def _rules(file: Path | None, settings: Settings, pipelines: Pipelines) -> RuleSet | None:
    """The rules of the file, else those of the installation; None where the file is wrong."""
    if file is None:
        return rules_of(settings, pipelines)
    try:
        return read_rules(file, pipelines)
    except RuleFileInvalid as error:
        for problem in error.problems:
            err().print(f"{file}: {problem}", style="red", markup=False, soft_wrap=True)
        return None


def _files_of_one_study(folder: Path) -> list[Path]:
    series = dicom_series(folder)
    studies = {listing.study_instance_uid for listing in series}
    if len(studies) > 1:
        raise BadUpload(f"{folder} holds {len(studies)} studies: name the folder of one.")
    return list(files_of(series))


def _show(pipeline: Pipeline, choice: Choice) -> None:
    table = Table("Series", "Images", "Description", "Rule", "Role", "Why", title_justify="left")
    table.title = f"Pipeline {pipeline.name}"
    for note in choice.notes:
        number = "" if note.series_number is None else str(note.series_number)
        role = "" if note.role is None else f"{pipeline.name} / {note.role}"
        style = "green" if note.role else None
        cells = (number, note.kind, note.description, note.rule or "", role, note.reason)
        table.add_row(*cells, style=style)
    out().print(table)
    out().print(_conclusion(pipeline, choice), markup=False, soft_wrap=True)


def _conclusion(pipeline: Pipeline, choice: Choice) -> str:
    name = pipeline.name
    if not choice.is_asked_for:
        return f"{name}: not run. No rule takes a series of this study.\n"
    if choice.problem is not None:
        return f"{name}: run, and rejected. {choice.problem}\n"
    rules = ", ".join(f"'{rule}'" for rule in choice.rules)
    wait = "waits for the quiet period" if isinstance(choice.verdict, Lack) else "taken at once"
    return f"{name}: run ({choice.priority}) by rule {rules}. Study {wait}: {choice.verdict}.\n"
