"""The rule file: TOML to rules, with errors that name the line and say what to write."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from willis_service.domain.job import Priority
from willis_service.domain.rules import KERNEL_CLASSES, SERIES_KINDS, Rule, RuleSet

Roles = Mapping[str, Iterable[str]]
"""Which roles each enabled pipeline has."""

_BLOCK = re.compile(r"^\s*\[\[\s*rule\s*\]\]")
_REQUIRED = ("name", "pipeline", "role")


class RuleFileInvalid(ValueError):
    """The rule file can't be used; ``problems`` name each line and what to write there."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def parse_rules(text: str, roles: Roles | None = None) -> RuleSet:
    """The rules in a TOML text; without ``roles``, pipelines and roles are taken as they stand.

    Raises RuleFileInvalid with every problem that was found.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RuleFileInvalid([f"not valid TOML: {error}"]) from error
    blocks = document.get("rule", [])
    if not isinstance(blocks, list) or set(document) - {"rule"} or not blocks:
        raise RuleFileInvalid(["line 1: the file is a list of rules: begin each with [[rule]]."])
    lines = text.splitlines()
    starts = [n for n, line in enumerate(lines, start=1) if _BLOCK.match(line)]
    starts += [1] * (len(blocks) - len(starts))  # rule = [{...}, {...}] has no lines of its own
    readers = [
        _Reader(block, position, start, lines, roles)
        for position, (block, start) in enumerate(zip(blocks, starts, strict=False), start=1)
    ]
    rules = [reader.rule() for reader in readers]
    problems = [problem for reader in readers for problem in reader.problems]
    problems += _problems_between(readers)
    if problems:
        raise RuleFileInvalid(problems)
    return RuleSet(tuple(rule for rule in rules if rule is not None))


@dataclass
class _Reader:
    """Reads one ``[[rule]]`` and gathers what is wrong with it."""

    block: Any
    position: int
    start: int
    lines: list[str]
    roles: Roles | None
    problems: list[str] = field(default_factory=list)

    def rule(self) -> Rule | None:
        """The rule; None (and problems) where it is not right."""
        if not isinstance(self.block, dict):
            self._wrong(None, "a rule is a table: write [[rule]] and its keys below.")
            return None
        self._check_keys()
        values: dict[str, Any] = {"rank": self.position}
        for key in self.block:
            if key in _READERS:
                values[_FIELDS.get(key) or key] = _READERS[key](self, key)
        return None if self.problems else Rule(**values)

    @property
    def name(self) -> str:
        """The rule's name, or its number."""
        stated = self.block.get("name") if isinstance(self.block, dict) else None
        return f"rule '{stated}'" if isinstance(stated, str) else f"rule {self.position}"

    def at(self, key: str | None) -> str:
        """``line 12, rule 'Head CT'``."""
        return f"line {self._line(key)}, {self.name}"

    def _line(self, key: str | None) -> int:
        pattern = re.compile(rf"^\s*[\"']?{re.escape(key or '')}[\"']?\s*=")
        for number in range(self.start + 1, len(self.lines) + 1):
            line = self.lines[number - 1]
            if key is None or _BLOCK.match(line):
                break
            if pattern.match(line):
                return number
        return self.start

    def _wrong(self, key: str | None, what: str) -> None:
        self.problems.append(f"{self.at(key)}: {what}")

    def _check_keys(self) -> None:
        for key in self.block:
            if key not in _READERS:
                near = difflib.get_close_matches(key, _READERS, 1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_READERS)}."
                self._wrong(key, f"there is no key {key}: {hint}")
        for key in _REQUIRED:
            if key not in self.block:
                self._wrong(None, f'{key} is missing: write {key} = "...".')

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.block[key]
        if not isinstance(value, str) or not value.strip():
            self._wrong(key, f'{key} is a text: write {key} = "...".')
            return ""
        return value.strip()

    def pipeline(self, key: str) -> str:
        """The name of an enabled pipeline."""
        name = self.text(key)
        if name and self.roles is not None and name not in self.roles:
            self._wrong(key, f"there is no enabled pipeline {name}: write {_or(self.roles)}.")
        return name

    def role(self, key: str) -> str:
        """A role of the rule's pipeline."""
        name, pipeline = self.text(key), self.block.get("pipeline")
        known = (self.roles or {}).get(pipeline, ()) if isinstance(pipeline, str) else ()
        if name and known and name not in known:
            self._wrong(key, f"{pipeline} has no role {name}: write {_or(known)}.")
        return name

    def pattern(self, key: str) -> re.Pattern[str] | None:
        """A regular expression, found anywhere in the text, in either case."""
        try:
            return re.compile(self.text(key), re.IGNORECASE)
        except re.error as error:
            self._wrong(key, f"not a regular expression: {error}. Use '...' to keep backslashes.")
            return None

    def choices(self, key: str, known: Iterable[str] | None = None) -> frozenset[str]:
        """One text or a list of them, each among ``known``."""
        value = self.block[key]
        several = [value] if isinstance(value, str) else value
        if not isinstance(several, list) or not several:
            self._wrong(key, f'{key} is a text or a list of texts: write {key} = ["...", "..."].')
            return frozenset()
        wrong = [v for v in several if not isinstance(v, str) or (known and v not in known)]
        if wrong:
            self._wrong(key, f"{wrong[0]!r} is no {key}: write {_or(known) if known else 'texts'}.")
        return frozenset(v.strip() for v in several if isinstance(v, str))

    def flag(self, key: str) -> bool:
        """true or false."""
        value = self.block[key]
        if not isinstance(value, bool):
            self._wrong(key, f"{key} is true or false, without quotation marks.")
        return bool(value)

    def whole(self, key: str) -> int:
        """A whole number from 1."""
        value = self.block[key]
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self._wrong(key, f"{key} is a whole number from 1: write {key} = 20.")
            return 0
        return value

    def interval(self, key: str) -> tuple[float, float]:
        """Two numbers, the lower first."""
        value = self.block[key]
        is_pair = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
        if not is_pair or not 0 <= value[0] <= value[1]:
            self._wrong(key, f"{key} is lowest and highest: write {key} = [0.5, 6].")
            return (0.0, 0.0)
        return (float(value[0]), float(value[1]))

    def priority(self, key: str) -> Priority:
        """urgent or routine."""
        found = self.choices(key, tuple(Priority))
        return Priority.URGENT if Priority.URGENT in found else Priority.ROUTINE


_READERS: Mapping[str, Callable[[_Reader, str], Any]] = {
    "name": _Reader.text,
    "pipeline": _Reader.pipeline,
    "role": _Reader.role,
    "rank": _Reader.whole,
    "priority": _Reader.priority,
    "modality": _Reader.text,
    "description": _Reader.pattern,
    "kernel": _Reader.pattern,
    "kernel_class": lambda reader, key: reader.choices(key, KERNEL_CLASSES),
    "thickness_mm": _Reader.interval,
    "contrast": _Reader.flag,
    "body_part": _Reader.pattern,
    "sender": _Reader.choices,
    "min_slices": _Reader.whole,
    "kind": lambda reader, key: reader.choices(key, SERIES_KINDS),
}
_FIELDS = {"kernel_class": "kernel_classes", "sender": "senders", "kind": "kinds"}


def _problems_between(readers: Iterable[_Reader]) -> Iterable[str]:
    """What no rule shows alone: names used twice, and ranks given to some rules of a role only."""
    names: dict[str, _Reader] = {}
    by_role: dict[tuple[str, str], list[_Reader]] = {}
    for reader in (one for one in readers if isinstance(one.block, dict)):
        if (first := names.setdefault(reader.name, reader)) is not reader:
            yield f"{reader.at('name')}: line {first.start} has this name already."
        key = (str(reader.block.get("pipeline")), str(reader.block.get("role")))
        by_role.setdefault(key, []).append(reader)
    for mine in by_role.values():
        without = [reader for reader in mine if "rank" not in reader.block]
        if without and len(without) < len(mine):
            yield f"{without[0].at(None)}: give every rule of this role a rank, or none of them."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _or(names: Iterable[str]) -> str:
    return " or ".join(f'"{name}"' for name in names)
