"""The input of a pipeline among the files of a study: rules first, then merits; and is it whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.synthetic_ct import write_ct_series
from tests.toy_pipeline import TOY
from willis_models.pipelines.base import Pipeline, Role
from willis_service.adapters.dicom.files import scan
from willis_service.adapters.dicom.header_cache import HeaderCache
from willis_service.adapters.dicom.study_selector import StudySelector
from willis_service.application.ports import Choice
from willis_service.domain.completeness import Basis, Lack
from willis_service.domain.job import Priority
from willis_service.domain.rule_file import parse_rules
from willis_service.domain.rules import RuleSet

WHOLE = (30, 16, 16)
ANY_CT = RuleSet(()).with_default("toy", [("ncct", "CT", "volume")])


def rules(*conditions: str) -> RuleSet:
    """One rule for each text of conditions, named a, b, c, ..."""
    head = '[[rule]]\nname = "{}"\npipeline = "toy"\nrole = "ncct"\n'
    named = zip("abcdef", conditions, strict=False)
    return parse_rules("".join(head.format(name) + one + "\n" for name, one in named))


class Study:
    """A folder to which series are added, numbered from 1."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.senders: dict[Path, str | None] = {}

    def add(self, *, sender: str | None = "CT1", **options: Any) -> None:
        self.count += 1
        overrides = {"SeriesNumber": self.count, **options.pop("overrides", {})}
        options = {"shape": WHOLE, "seed": str(self.count), "study_seed": "study", **options}
        where = self.folder / str(self.count)
        for path in write_ct_series(where, overrides=overrides, **options):
            self.senders[path] = sender

    def choose(self, rules: RuleSet = ANY_CT, pipeline: Pipeline = TOY) -> Choice:
        return StudySelector(rules)(pipeline, self.senders)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def numbers(choice: Choice) -> set[str]:
    """Which series were chosen."""
    return {file.parent.name for file in choice.files}


def reason_for(choice: Choice, number: int) -> str:
    return next(note.reason for note in choice.notes if note.series_number == number)


def test_the_rules_choose_and_say_why(study: Study) -> None:
    study.add()
    study.add(overrides={"SeriesDescription": "HEAD 2.5 MM"})

    choice = study.choose(rules("description = '2.5 mm'"))

    assert numbers(choice) == {"2"}
    assert choice.rules == ("a",) and choice.is_asked_for
    assert "rule 'a'" in reason_for(choice, 2)
    assert reason_for(choice, 1) == "NO_RULE: rule 'a': description does not match"


RULED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "kernel class": ('kernel_class = "soft"', {"overrides": {"ConvolutionKernel": "BONE"}}),
    "thickness": ("thickness_mm = [0.5, 6]", {"slice_step_mm": 8.0}),
    "contrast": ("contrast = false", {"overrides": {"ContrastBolusAgent": "IOHEXOL"}}),
    "body part": ('body_part = "head"', {"overrides": {"BodyPartExamined": None}}),
    "sender": ('sender = "CT1"', {"sender": "CT2"}),
    "slices": ("min_slices = 20", {"shape": (19, 16, 16)}),
    "modality": ('modality = "CT"', {"overrides": {"Modality": "MR"}}),
}


@pytest.mark.parametrize(("condition", "other"), RULED.values(), ids=RULED)
def test_each_condition_is_asked_of_the_headers(
    study: Study, condition: str, other: dict[str, Any]
) -> None:
    study.add(**other)
    study.add()

    choice = study.choose(rules(condition))

    assert numbers(choice) == {"2"}
    assert reason_for(choice, 1).startswith("NO_RULE: rule 'a': ")


def test_a_series_from_two_senders_counts_as_sent_by_both(study: Study) -> None:
    study.add()
    half = list(study.senders)[:15]
    study.senders |= dict.fromkeys(half, "CT2")

    assert study.choose(rules('sender = "CT2"')).is_asked_for


def test_the_first_rule_goes_before_the_better_series(study: Study) -> None:
    study.add(overrides={"ConvolutionKernel": "BONE", "SeriesDescription": "BONE"})
    study.add()

    assert numbers(study.choose(rules("description = 'bone'", ""))) == {"1"}
    assert numbers(study.choose(rules("rank = 1\ndescription = 'bone'", "rank = 1"))) == {"2"}


def test_a_rule_never_makes_an_unsuitable_series_fit(study: Study) -> None:
    study.add(overrides={"ContrastBolusAgent": "IOHEXOL"})
    study.add(overrides={"ConvolutionKernel": "BONE"})

    choice = study.choose(rules('kernel_class = "soft"'))

    assert choice.is_asked_for and choice.problem is not None
    assert "CONTRAST_GIVEN" in choice.problem
    assert numbers(choice) == {"1"}  # the worker must not take what the rules left out


def test_without_a_rule_a_pipeline_is_not_asked_for_but_can_be_asked_by_name(study: Study) -> None:
    study.add()

    choice = study.choose(rules('modality = "MR"'))

    assert not choice.is_asked_for
    assert numbers(choice) == {"1"}
    assert choice.reasons == ("Series 1 (CT, 30 images): rule 'a': modality is CT, not MR",)


def test_a_study_without_images_is_asked_for_by_nobody(study: Study, tmp_path: Path) -> None:
    study.senders[tmp_path / "note.txt"] = "CT1"
    (tmp_path / "note.txt").write_text("no image")

    assert not study.choose().is_asked_for


def test_an_urgent_rule_makes_an_urgent_input(study: Study) -> None:
    study.add()

    assert study.choose(rules('priority = "urgent"')).priority is Priority.URGENT
    assert study.choose(rules("")).priority is Priority.ROUTINE


def test_an_optional_role_may_stay_empty_with_and_without_a_rule(study: Study) -> None:
    optional = Role("t1w", "MR", "T1-weighted MRI", required=False)
    pipeline = replace(TOY, roles=(*TOY.roles, optional))
    study.add()
    given = rules("")

    for some in (given, given.with_default("toy", [("t1w", "MR", "volume")])):
        choice = study.choose(some, pipeline)
        assert choice.is_asked_for and choice.problem is None
        assert choice.verdict is Basis.CONTIGUOUS_SLICES


def test_only_a_role_that_is_needed_asks_for_a_pipeline(study: Study) -> None:
    optional = Role("extra", "CT", "Another CT", required=False)
    pipeline = replace(TOY, roles=(*TOY.roles, optional))
    study.add()
    only_extra = RuleSet(rules("modality = 'MR'").rules).with_default(
        "toy", [("extra", "CT", "volume")]
    )

    assert not study.choose(only_extra, pipeline).is_asked_for


def test_a_whole_head_is_complete(study: Study) -> None:
    study.add()

    assert study.choose().verdict is Basis.CONTIGUOUS_SLICES


INCOMPLETE: Mapping[str, tuple[list[dict[str, Any]], Lack]] = {
    "a gap": ([{"missing": [7]}], Lack.GAP),
    "a part": ([{"shape": (15, 16, 16)}], Lack.COVERAGE),
    "too few": ([{"shape": (5, 16, 16)}], Lack.NO_SERIES),
    "a sharp kernel": (
        [{"overrides": {"ConvolutionKernel": "BONE"}}],
        Lack.BETTER_MAY_FOLLOW,
    ),
    "another with a gap": ([{}, {"missing": [3]}], Lack.OTHER_SERIES),
    "another announced": (
        [{}, {"shape": (4, 16, 16), "overrides": {"ImagesInAcquisition": 30}}],
        Lack.OTHER_SERIES,
    ),
}


@pytest.mark.parametrize(("series", "lack"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_not_whole_says_what_it_lacks(
    study: Study, series: list[dict[str, Any]], lack: Lack
) -> None:
    for options in series:
        study.add(**options)

    assert study.choose().verdict is lack


def test_a_series_of_a_second_rule_waits_for_one_of_the_first(study: Study) -> None:
    study.add()

    assert study.choose(rules("thickness_mm = [0, 2]", "")).verdict is Lack.BETTER_MAY_FOLLOW


def test_a_series_that_could_never_be_the_input_holds_nothing_back(study: Study) -> None:
    study.add()
    study.add(missing=[7], overrides={"ContrastBolusAgent": "IOHEXOL"})
    study.add(shape=(2, 16, 16), overrides={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]})

    choice = study.choose()

    assert choice.verdict is Basis.CONTIGUOUS_SLICES
    assert {file.parent.name for file in choice.watched} == {"1"}


def test_all_series_that_could_be_the_input_are_watched(study: Study) -> None:
    study.add()
    study.add(overrides={"ConvolutionKernel": "BONE"})
    study.add(shape=(5, 16, 16))

    assert {file.parent.name for file in study.choose().watched} == {"1", "2", "3"}


def test_reasons_quote_no_description_and_are_bounded(study: Study) -> None:
    for _ in range(25):
        study.add(shape=(1, 8, 8), overrides={"SeriesDescription": "MILLER JOHN"})

    reasons = study.choose().reasons

    assert len(reasons) == 21 and reasons[-1] == "and 5 more"
    assert "MILLER" not in " ".join(reasons)


def test_headers_are_read_once_however_often_a_study_is_looked_at(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    from willis_service.adapters.dicom import header_cache

    read: list[Path] = []
    original = header_cache.read_header
    monkeypatch.setattr(
        header_cache, "read_header", lambda path: [read.append(path), original(path)][1]
    )
    study.add()
    selector = StudySelector(ANY_CT, HeaderCache())

    first, second = (selector(TOY, study.senders) for _ in range(2))
    selector.forget(list(study.senders))
    selector(TOY, study.senders)

    assert first == second
    assert len(read) == 2 * WHOLE[0]


def test_the_cache_holds_no_more_images_than_its_limit(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path, shape=(12, 8, 8))
    cache = HeaderCache(limit=5)

    listings = scan(files, cache.read)

    assert len(listings[0].headers) == 12
    assert len(cache._kept) == 5


def test_a_multi_frame_object_weighs_as_much_as_its_frames(tmp_path: Path) -> None:
    files = write_ct_series(tmp_path, shape=(12, 8, 8), enhanced=True)
    cache = HeaderCache(limit=11)

    assert cache.read(files[0]) is not None
    assert not cache._kept and cache._images == 0
