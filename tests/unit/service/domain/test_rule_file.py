"""The rule file is right, or every mistake in it is named with its line and what to write."""

from __future__ import annotations

import pytest

from willis_service.domain.job import Priority
from willis_service.domain.rule_file import RuleFileInvalid, parse_rules

ROLES = {"aspects": ("ncct",), "infarct": ("ctp", "ncct")}
WHOLE = """# Stroke CT
[[rule]]
name = "Stroke head, soft"
pipeline = "aspects"
role = "ncct"
rank = 10
priority = "urgent"
modality = "CT"
description = '(head|brain)\\b'
kernel = "^H[23]"
kernel_class = ["soft", "unknown"]
kind = "volume"
thickness_mm = [0.5, 6]
contrast = false
body_part = "head"
sender = ["CT1", "CT2"]
min_slices = 20
"""
SHORT = '[[rule]]\nname = "a"\npipeline = "aspects"\nrole = "ncct"\n'


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(RuleFileInvalid) as raised:
        parse_rules(text, ROLES)
    return raised.value.problems


def test_every_key_is_understood() -> None:
    (rule,) = parse_rules(WHOLE, ROLES).rules

    assert (rule.name, rule.pipeline, rule.role) == ("Stroke head, soft", "aspects", "ncct")
    assert (rule.rank, rule.priority, rule.min_slices) == (10, Priority.URGENT, 20)
    assert (rule.modality, rule.contrast, rule.thickness_mm) == ("CT", False, (0.5, 6.0))
    assert rule.kernel_classes == {"soft", "unknown"}
    assert rule.kinds == {"volume"}
    assert rule.senders == {"CT1", "CT2"}
    assert rule.description is not None and rule.description.search("CT BRAIN native")


def test_a_rule_needs_only_a_name_and_where_it_leads() -> None:
    (rule,) = parse_rules(SHORT, ROLES).rules

    assert rule.conditions == () and rule.priority is Priority.ROUTINE


def test_without_ranks_the_order_in_the_file_counts() -> None:
    second = SHORT.replace('"a"', '"b"')

    ranks = [rule.rank for rule in parse_rules(SHORT + second, ROLES).of("aspects", "ncct")]

    assert ranks == [1, 2]


MISTAKES = {
    "no TOML": ("[[rule]\n", "not valid TOML: ", "line 1"),
    "empty": ("", "line 1: ", "begin each with [[rule]]"),
    "another table": ("[rules]\nname = 'a'\n", "line 1: ", "begin each with [[rule]]"),
    "misspelt key": (SHORT + 'kernal = "H"\n', "line 5, rule 'a': ", "did you mean kernel?"),
    "unknown key": (SHORT + "zzz = 1\n", "line 5, rule 'a': ", "known are name, pipeline"),
    "missing key": ('[[rule]]\nname = "a"\nrole = "ncct"\n', "line 1, rule 'a': ", "pipeline = "),
    "pipeline": (SHORT.replace('"aspects"', '"aspect"'), "line 3, rule 'a': ", '"aspects" or'),
    "role": (SHORT.replace('"ncct"', '"cta"'), "line 4, rule 'a': ", 'write "ncct"'),
    "regex": (SHORT + "description = '(head'\n", "line 5, rule 'a': ", "not a regular expression"),
    "empty regex": (SHORT + "description = ''\n", "line 5, rule 'a': ", "is a text"),
    "kind": (SHORT + 'kind = "film"\n', "line 5, rule 'a': ", '"volume" or "dynamic" or "map"'),
    "kernel class": (SHORT + 'kernel_class = "hard"\n', "line 5, rule 'a': ", '"soft" or "sharp"'),
    "thickness": (SHORT + "thickness_mm = 5\n", "line 5, rule 'a': ", "[0.5, 6]"),
    "thickness turned": (SHORT + "thickness_mm = [6, 1]\n", "line 5, rule 'a': ", "lowest and"),
    "contrast": (SHORT + 'contrast = "no"\n', "line 5, rule 'a': ", "true or false"),
    "priority": (SHORT + 'priority = "stat"\n', "line 5, rule 'a': ", '"urgent" or "routine"'),
    "count": (SHORT + "min_slices = 0\n", "line 5, rule 'a': ", "whole number"),
    "sender": (SHORT + "sender = [7]\n", "line 5, rule 'a': ", "no sender"),
    "name twice": (SHORT + SHORT, "line 6, rule 'a': ", "line 1 has this name"),
    "some ranks": (SHORT + SHORT.replace('"a"', '"b"\nrank = 1'), "line 1, rule 'a': ", "a rank"),
}


@pytest.mark.parametrize(("text", "where", "what"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_line_and_what_to_write(
    text: str, where: str, what: str
) -> None:
    (problem,) = problems(text)

    assert problem.startswith(where)
    assert what in problem


def test_all_mistakes_are_named_at_once() -> None:
    text = SHORT + "contrast = 1\n\n" + SHORT.replace('"a"', '"b"') + "min_slices = -1\n"

    assert [problem.split(":")[0] for problem in problems(text)] == [
        "line 5, rule 'a'",
        "line 11, rule 'b'",
    ]


def test_pipelines_are_taken_as_they_stand_where_none_are_known() -> None:
    (rule,) = parse_rules(SHORT.replace("aspects", "anything")).rules

    assert rule.pipeline == "anything"
