from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from willis_models.findings import INTENDED_USE_STATEMENT
from willis_training.infarct.contract import draft_manifest
from willis_training.infarct.evaluate import (
    NETWORK,
    NETWORK_BARE,
    RCBF,
    REGRESSION,
    TMAX,
    CaseRecord,
)
from willis_training.infarct.evaluate_run import evaluation_document
from willis_training.infarct.evaluate_summary import summarise
from willis_training.infarct.evaluation_page import write_page

SKILL = {NETWORK: 0.45, NETWORK_BARE: 0.43, RCBF: 0.2, TMAX: 0.35, REGRESSION: 0.38}


def records(count: int = 30) -> list[CaseRecord]:
    """Cases of three heads and two scanners; each method has its own skill."""
    rng = np.random.default_rng(0)
    return [record(n, rng) for n in range(count)]


def record(n: int, rng: np.random.Generator) -> CaseRecord:
    truth_ml = float(np.exp(rng.uniform(0, 5)))
    easy = rng.normal(0, 0.05)
    scores = {}
    for name, skill in SKILL.items():
        found_ml = truth_ml * rng.uniform(0.5, 1.5)
        scores[name] = {
            "dice": float(np.clip(skill + easy + rng.normal(0, 0.02), 0, 1)),
            "volume_difference_ml": abs(found_ml - truth_ml),
            "f1": 0.5,
            "count_difference": float(n % 3),
            "truth_ml": truth_ml,
            "found_ml": found_ml,
        }
    counts = np.zeros(15)
    counts[[1, 10]] = 1000
    said = counts * (np.arange(15) + 0.5) / 15
    reliability = [list(part) for part in (counts, said, said * 0.5)]
    return CaseRecord(
        case_id=f"head_{n % 3:02d}_{n:04d}",
        group=f"head_{n % 3:02d}",
        centre="shuttle mode" if n % 2 else "every 1 to 2 s, 4 to 5 mm slices",
        status="succeeded",
        code=None,
        truth_ml=truth_ml,
        scores=scores,
        interval_ml=(truth_ml * 0.5, truth_ml * 2) if n % 10 else (0.0, truth_ml / 2),
        coverage=0.9,
        reliability={"before": reliability, "after": reliability},
        seconds=5.0,
        facts={"reperfused": float(n % 3 == 0)},
    )


def rejected() -> CaseRecord:
    return CaseRecord("head_00_9999", "head_00", "shuttle mode", "rejected", "NO_BOLUS", 12.0)


def test_the_summary_counts_rejected_cases_apart() -> None:
    summary = summarise([*records(), rejected()], draws=50)
    assert (summary["cases"], summary["analysed"]) == (31, 30)
    assert summary["rejected"] == {"NO_BOLUS": 1}
    with pytest.raises(ValueError, match="No case was analysed"):
        summarise([rejected()])


def test_means_lie_in_their_intervals_and_the_network_beats_what_it_beats() -> None:
    summary = summarise(records(), draws=200)
    for figures in summary["methods"].values():
        for figure in figures.values():
            low, high = figure["interval"]
            assert low <= figure["mean"] <= high
    assert summary["beats"] == {RCBF: True, TMAX: True, REGRESSION: True}
    worse = [one for one in records() if True]
    for one in worse:
        one.scores[NETWORK]["dice"] = 0.3  # type: ignore[index]
    assert summarise(worse, draws=20)["beats"][TMAX] is False


def test_the_network_is_tested_against_every_other_method() -> None:
    tests = summarise(records(), draws=100)["paired"]["dice"]
    assert {test["second"] for test in tests} == set(SKILL) - {NETWORK}
    against = {test["second"]: test for test in tests}
    assert against[RCBF]["difference"] == pytest.approx(0.25, abs=0.03)
    assert against[RCBF]["low"] > 0.2 and against[RCBF]["p_holm"] < 0.001


def test_bins_hold_every_case_once() -> None:
    summary = summarise(records(), draws=20)
    for bins in (summary["by_size"], summary["by_centre"]):
        assert sum(found["cases"] for found in bins.values()) == 30
    assert set(summary["by_centre"]) == {"shuttle mode", "every 1 to 2 s, 4 to 5 mm slices"}


def test_cases_are_told_apart_by_what_became_of_the_vessel(tmp_path: Path) -> None:
    summary = summarise(records(), draws=50)
    courses = summary["by_course"]
    assert {name: found["cases"] for name, found in courses.items()} == {
        "flow returned": 10,
        "flow did not return": 20,
    }
    mean, low, high = courses["flow returned"]["difference"][RCBF]
    assert low <= mean <= high and mean == pytest.approx(0.25, abs=0.04)
    write_page(tmp_path / "page.md", draft_manifest(), summary, records())
    assert "| flow did not return | 20 |" in (tmp_path / "page.md").read_text()


def test_coverage_is_what_the_intervals_held() -> None:
    interval = summarise(records(), draws=200)["interval"]
    assert interval["inside"] == pytest.approx(0.9) and interval["promised"] == 0.9
    assert interval["inside_interval"][0] < 0.9 < interval["inside_interval"][1]


def test_calibration_adds_up_all_cases() -> None:
    calibration = summarise(records(), draws=20)["calibration"]["before"]
    assert sum(calibration["counts"]) == 30 * 2000
    assert calibration["right"][10] == pytest.approx(calibration["confidence"][10] / 2)
    assert calibration["expected_error"] == pytest.approx(0.2, abs=0.02)


def test_the_page_says_what_it_must_and_its_figures_are_small(tmp_path: Path) -> None:
    everything = [*records(60), rejected()]
    summary = summarise(everything, draws=50)
    page = tmp_path / "infarct-evaluation.md"
    write_page(page, draft_manifest(), summary, everything)
    text = page.read_text()
    assert INTENDED_USE_STATEMENT in text
    assert "| **performance on patients** | **not measured** |" in text
    assert "ISLES'24, the winner on the challenge's hidden test patients | 0.285 |" in text
    assert "calibrated on simulated data" in text and "1 NO_BOLUS" in text
    for method in SKILL:
        assert f"| {method} |" in text or f"| **{method}** |" in text
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 3
    for picture in pictures:
        assert f"({picture.name})" in text and picture.stat().st_size < 200_000
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) < 900


def test_a_page_of_real_cases_does_not_say_that_nothing_was_measured() -> None:
    summary = summarise(records(), draws=20, source="ISLES'24")
    assert summary["performance_on_patients"] == "measured on 30 cases of ISLES'24 only, as above"


def test_two_cases_make_a_page_without_limits_of_agreement(tmp_path: Path) -> None:
    few = records(2)
    write_page(tmp_path / "page.md", draft_manifest(), summarise(few, draws=20), few)
    assert "Fewer than three cases" in (tmp_path / "page.md").read_text()
    assert not (tmp_path / "page-agreement.png").exists()


def test_the_document_holds_every_case() -> None:
    everything = [*records(3), rejected()]
    document = evaluation_document(everything, summarise(everything, draws=20), None)
    assert len(document["cases"]) == 4 and document["regression"] is None
    assert document["summary"]["performance_on_patients"] == "not measured"
