"""``willis rules``: what is wrong in a file, and what the rules would do with a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.synthetic_ct import write_ct_series
from willis_service.cli import run

GOOD = """[[rule]]
name = "Stroke head"
pipeline = "aspects"
role = "ncct"
priority = "urgent"
modality = "CT"
sender = "STROKE_CT"
kernel_class = ["soft", "unknown"]
"""


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WILLIS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    common = {"shape": (30, 16, 16), "study_seed": "study"}
    write_ct_series(folder / "soft", seed="1", **common)
    bone = {"SeriesNumber": 3, "ConvolutionKernel": "BONE", "SeriesDescription": "BONE"}
    write_ct_series(folder / "bone", seed="2", overrides=bone, **common)
    return folder


def test_the_shipped_rules_are_right_and_listed(capsys) -> None:
    assert run(["rules", "check"]) == 0

    assert "CT for ASPECTS" in capsys.readouterr().out


def test_a_right_file_is_listed_as_it_was_understood(rules: Path, capsys) -> None:
    assert run(["rules", "check", str(rules)]) == 0

    text = capsys.readouterr().out
    assert "Stroke head" in text and "urgent" in text
    assert "modality CT, kernel soft or unknown, from STROKE_CT" in " ".join(text.split())


def test_a_wrong_file_names_every_mistake_and_is_wrong_usage(rules: Path, capsys) -> None:
    rules.write_text(GOOD.replace("modality", "modalty") + "min_slices = 0\n")

    assert run(["rules", "check", str(rules)]) == 2

    text = capsys.readouterr().err
    assert "line 6, rule 'Stroke head': there is no key modalty: did you mean modality?" in text
    assert "line 9" in text


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys) -> None:
    assert run(["rules", "check", str(tmp_path / "none.toml")]) == 2
    assert "can't be read" in capsys.readouterr().err


def test_a_pipeline_needs_a_rule_for_each_of_its_roles(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from tests.toy_pipeline import TOY
    from willis_models.pipelines.base import Role
    from willis_service.bootstrap.ruling import read_rules
    from willis_service.domain.rule_file import RuleFileInvalid

    two = replace(TOY, roles=(*TOY.roles, Role("ctp", "CT", "CT perfusion")))
    rules.write_text(GOOD.replace("aspects", "toy"))

    with pytest.raises(RuleFileInvalid, match="none for its role ctp"):
        read_rules(rules, {"toy": two})


def test_a_pipeline_with_several_ways_needs_the_rules_of_one_of_them(tmp_path: Path) -> None:
    from tests.infarct_like import INFARCT_LIKE
    from willis_service.bootstrap.ruling import read_rules
    from willis_service.domain.rule_file import RuleFileInvalid

    path = tmp_path / "rules.toml"
    one = '[[rule]]\nname = "{0}"\npipeline = "toy"\nrole = "{0}"\n'
    path.write_text(one.format("tmax"))
    with pytest.raises(RuleFileInvalid, match="none for its role"):
        read_rules(path, {"toy": INFARCT_LIKE})

    for roles in (("tmax", "cbf"), ("ctp",)):
        path.write_text("".join(one.format(role) for role in roles))
        assert len(read_rules(path, {"toy": INFARCT_LIKE}).rules) == len(roles)


def test_a_service_with_a_wrong_file_does_not_start(
    rules: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    rules.write_text(GOOD.replace('"ncct"', '"ncc"'))
    monkeypatch.setenv("WILLIS_RULES_FILE", str(rules))

    assert run(["serve"]) == 2
    assert "WILLIS_RULES_FILE" in (text := capsys.readouterr().err)
    assert "line 4, rule 'Stroke head': aspects has no role ncc: write \"ncct\"." in text


def test_trying_shows_what_each_series_is_taken_for_and_why(study: Path, capsys) -> None:
    assert run(["rules", "try", str(study)]) == 0

    text = " ".join(capsys.readouterr().out.split())
    assert "CT for ASPECTS" in text and "aspects / ncct" in text
    assert "LESS_SUITABLE" in text and "soft-tissue kernel STANDARD" in text
    assert "Study taken at once: contiguous slices" in text


def test_trying_with_a_sender_asks_the_rules_for_it(rules: Path, study: Path, capsys) -> None:
    ours = ["rules", "try", str(study), "--rules", str(rules), "--sender"]

    assert run([*ours, "STROKE_CT"]) == 0
    assert "run (urgent) by rule 'Stroke head'" in capsys.readouterr().out
    assert run([*ours, "CT7"]) == 3
    assert "not run" in (text := capsys.readouterr().out) and "another AE title" in text


def test_trying_a_study_that_would_be_rejected_says_so(tmp_path: Path, capsys) -> None:
    write_ct_series(
        tmp_path / "cta", shape=(12, 16, 16), overrides={"ContrastBolusAgent": "IOHEXOL"}
    )

    assert run(["rules", "try", str(tmp_path / "cta")]) == 3
    assert "rejected. CONTRAST_GIVEN" in capsys.readouterr().out


def test_two_studies_are_not_tried_at_once(tmp_path: Path, capsys) -> None:
    for seed in "12":
        write_ct_series(tmp_path / "two" / seed, shape=(12, 8, 8), seed=seed)

    assert run(["rules", "try", str(tmp_path / "two")]) == 2
    assert "2 studies" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["check", "try"])
def test_the_help_teaches(command: str, capsys) -> None:
    assert run(["rules", command, "--help"]) == 0

    text = capsys.readouterr().out
    assert "Examples" in text and "Exit codes" in text


def test_trying_stores_nothing(study: Path, tmp_path: Path) -> None:
    run(["rules", "try", str(study)])

    assert not (tmp_path / "data").exists()
