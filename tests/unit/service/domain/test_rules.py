"""Which series a rule takes, and why it takes another one not."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from willis_service.domain.rules import Rule, RuleSet, SeriesTraits

SOFT = SeriesTraits(
    modality="CT",
    images=32,
    description="Head 5 mm STD",
    kernel="H31s",
    kernel_class="soft",
    thickness_mm=5.0,
    body_part="HEAD",
    senders=frozenset({"CT1"}),
)
ANY = Rule("any", "aspects", "ncct", rank=1)


def like(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


CONDITIONS = {
    "modality": ({"modality": "CT"}, {"modality": "MR"}, "modality is MR, not CT"),
    "description": (
        {"description": like("^head.*std")},
        {"description": "Head CTA"},
        "description does not match",
    ),
    "no description": (
        {"description": like("head")},
        {"description": ""},
        "description is not stated",
    ),
    "kernel": ({"kernel": like("^H[23]")}, {"kernel": "H60s"}, "kernel does not match"),
    "kernel class": (
        {"kernel_classes": frozenset({"soft"})},
        {"kernel_class": "sharp"},
        "kernel is sharp, not soft",
    ),
    "thick": ({"thickness_mm": (0.5, 6)}, {"thickness_mm": 7.5}, "slices of 7.5 mm, not 0.5 to 6"),
    "no thickness": (
        {"thickness_mm": (0.5, 6)},
        {"thickness_mm": None},
        "slice thickness is not stated",
    ),
    "contrast": ({"contrast": False}, {"has_contrast": True}, "with contrast agent"),
    "body part": ({"body_part": like("head")}, {"body_part": "CHEST"}, "body part does not match"),
    "sender": (
        {"senders": frozenset({"CT1", "CT2"})},
        {"senders": frozenset({"CT3"})},
        "sent by another AE title",
    ),
    "kind": (
        {"kinds": frozenset({"volume", "map"})},
        {"kind": "dynamic"},
        "kind is dynamic, not map or volume",
    ),
    "few": ({"min_slices": 20}, {"images": 19}, "19 images, at least 20 are asked for"),
}


@pytest.mark.parametrize(("asked", "other", "reason"), CONDITIONS.values(), ids=CONDITIONS)
def test_a_rule_takes_what_meets_its_condition_and_says_why_it_takes_no_other(
    asked: dict[str, object], other: dict[str, object], reason: str
) -> None:
    rule = replace(ANY, **asked)

    assert rule.mismatch(SOFT) is None
    assert (rule.mismatch(replace(SOFT, **other)) or "").startswith(reason)


def test_a_condition_that_is_left_out_is_not_asked() -> None:
    nothing = SeriesTraits(modality="", images=0, senders=frozenset())

    assert ANY.mismatch(nothing) is None


def test_a_sender_that_is_not_known_is_not_held_against_a_series() -> None:
    rule = replace(ANY, senders=frozenset({"CT1"}))

    assert rule.mismatch(replace(SOFT, senders=None)) is None


def test_the_rule_of_the_lowest_rank_decides() -> None:
    first, second = replace(ANY, name="a", rank=2), replace(ANY, name="b", rank=1)

    assert RuleSet((first, second)).match("aspects", "ncct", SOFT) is second


def test_a_series_that_no_rule_takes_hears_of_every_rule() -> None:
    rules = RuleSet((replace(ANY, modality="MR"), replace(ANY, name="long", rank=2, min_slices=99)))

    reason = rules.match("aspects", "ncct", SOFT)

    assert reason == (
        "rule 'any': modality is CT, not MR; rule 'long': 32 images, at least 99 are asked for"
    )
    assert rules.match("aspects", "ctp", SOFT) == "no rule for this role"


def test_reasons_quote_no_free_text_of_a_header() -> None:
    secret = "MILLER JOHN"
    named = replace(SOFT, description=secret, kernel=secret, body_part=secret)
    rule = replace(ANY, description=like("a^"), kernel=like("a^"), body_part=like("a^"))

    reasons = " ".join(rule._mismatches(named))

    assert reasons and "MILLER" not in reasons


def test_a_pipeline_without_rules_can_be_given_any_series_of_its_modality() -> None:
    rules = RuleSet(()).with_default("toy", [("ncct", "CT", "volume")])

    assert isinstance(rules.match("toy", "ncct", SOFT), Rule)
    assert isinstance(rules.match("toy", "ncct", replace(SOFT, modality="MR")), str)


def test_a_role_of_another_kind_is_given_series_of_that_kind_only() -> None:
    rules = RuleSet(()).with_default("toy", [("ctp", "CT", "dynamic")])

    assert isinstance(rules.match("toy", "ctp", SOFT), str)
    assert isinstance(rules.match("toy", "ctp", replace(SOFT, kind="dynamic")), Rule)


def test_a_rule_lists_its_conditions_as_it_understood_them() -> None:
    rule = replace(ANY, modality="CT", thickness_mm=(0.5, 6.0), contrast=False, min_slices=20)

    assert rule.conditions == (
        "modality CT",
        "thickness 0.5 to 6 mm",
        "without contrast",
        "at least 20 images",
    )
