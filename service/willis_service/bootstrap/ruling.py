"""The rules of an installation: its own file, or the shipped one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from willis_service.adapters.dicom.header_cache import HeaderCache
from willis_service.adapters.dicom.study_selector import StudySelector
from willis_service.domain.rule_file import RuleFileInvalid, parse_rules
from willis_service.domain.rules import RuleSet
from willis_service.settings import Settings, SettingsError
from willis_service.shipped import Pipelines

SHIPPED_RULES = "default_rules.toml"


def rules_of(settings: Settings, pipelines: Pipelines) -> RuleSet:
    """The rules that the settings name. Raises SettingsError, with every problem and its line."""
    if settings.rules_file is None:
        return shipped_rules(pipelines)
    try:
        return read_rules(settings.rules_file, pipelines)
    except RuleFileInvalid as error:
        raise SettingsError(f"WILLIS_RULES_FILE, {settings.rules_file}:\n{error}") from error


def read_rules(path: Path, pipelines: Pipelines) -> RuleSet:
    """The rules of a file. Raises RuleFileInvalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise RuleFileInvalid([f"the file can't be read: {reason}."]) from error
    rules = parse_rules(text, {one.name: [r.name for r in one.roles] for one in pipelines.values()})
    if problems := _missing_roles(rules, pipelines):
        raise RuleFileInvalid(problems)
    return rules


def shipped_rules(pipelines: Pipelines) -> RuleSet:
    """What is used without a file: the shipped rules of the enabled pipelines.

    A pipeline that the shipped file does not know takes any series of its roles' modality.
    """
    text = files("willis_service").joinpath(SHIPPED_RULES).read_text(encoding="utf-8")
    rules = RuleSet(tuple(r for r in parse_rules(text).rules if r.pipeline in pipelines))
    for pipeline in pipelines.values():
        if not any(rule.pipeline == pipeline.name for rule in rules.rules):
            roles = [(role.name, role.modality, role.kind) for role in pipeline.roles]
            rules = rules.with_default(pipeline.name, roles)
    return rules


def selector_of(rules: RuleSet, *, keeps_headers: bool = False) -> StudySelector:
    """Chooses series by these rules; ``keeps_headers`` where studies are looked at repeatedly."""
    return StudySelector(rules, HeaderCache() if keeps_headers else None)


def _missing_roles(rules: RuleSet, pipelines: Pipelines) -> list[str]:
    """A pipeline with a rule needs one for each role of a set with which it can run."""
    named = {rule.pipeline for rule in rules.rules}
    problems = []
    for pipeline in (one for one in pipelines.values() if one.name in named):
        ruled = {role.name for role in pipeline.roles if rules.of(pipeline.name, role.name)}
        if pipeline.suffices(ruled):
            continue
        lacking = min((sorted(need - ruled) for need in pipeline.sufficient), key=len)
        problems += [
            f"line 1: {pipeline.name} has rules, but none for its role {name}: add one."
            for name in lacking
        ]
    return problems
