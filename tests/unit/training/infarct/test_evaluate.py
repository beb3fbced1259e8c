"""One case through the service's own ``analyse()``, on a drawn case with ready maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.training.infarct.coarse_grid import coarse_manifest
from willis_models.findings import ModelIdentity
from willis_models.manifest import Manifest
from willis_training.datasets.isles24.example import write_example
from willis_training.datasets.isles24.layout import open_isles24
from willis_training.fitting.samples import CaseStore, prepare_cases
from willis_training.infarct import evaluate_run
from willis_training.infarct.baselines import VoxelRegression
from willis_training.infarct.evaluate import (
    NETWORK,
    NETWORK_BARE,
    RCBF,
    REGRESSION,
    TMAX,
    CaseRecord,
    judge,
)
from willis_training.infarct.evaluate_cases import (
    EvaluationCase,
    of_subject,
    scanner_kind,
    spacing_of,
)
from willis_training.infarct.evaluate_run import (
    Court,
    judge_all,
    judgement_of,
    load_record,
    parts_of,
    regression_of,
    save_record,
)
from willis_training.infarct.evaluate_summary import summarise
from willis_training.infarct.preparation import InfarctPreparation

REGRESSION_ON_TMAX = VoxelRegression((0, 3), (-4.0, 30.0, 0.0, 0.0), -8.0, 0.5)


class LateTissue:
    """A network that says 0.9 where Tmax is above a limit, 0.02 elsewhere in the tissue."""

    identity = ModelIdentity(
        name="late tissue", version="0.0.0", weights_sha256="", execution_provider="numpy"
    )

    def __init__(self, above_s: float = 5.0) -> None:
        self.above_s, self.calls = above_s, 0

    def __call__(self, network_input: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.calls += 1
        late = np.where(network_input[3] * 16.0 > self.above_s, 0.9, 0.02)
        return np.stack([1.0 - late, late]).astype(np.float32)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[EvaluationCase]:
    root = write_example(tmp_path_factory.mktemp("drawn"), 1, with_series=False)
    return [of_subject(subject) for subject in open_isles24(root).subjects()]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    draft = coarse_manifest()
    interval = {"coverage": 0.9, "quantile_sqrt_ml": 1.5, "basis": "a test"}
    prediction = {"temperature": 2.0, "offset": 0.0, "min_component_ml": 0.5, "interval": interval}
    return coarse_manifest(parameters={**draft.parameters, "prediction": prediction})


@pytest.fixture(scope="module")
def record(cases: list[EvaluationCase], manifest: Manifest) -> CaseRecord:
    """What judging the case gave."""
    return judge(cases[0], manifest, {}, LateTissue(), REGRESSION_ON_TMAX)


def test_every_method_is_scored_against_the_truth(
    cases: list[EvaluationCase], record: CaseRecord
) -> None:
    assert record.status == "succeeded" and record.code is None
    assert set(record.scores) == {NETWORK, NETWORK_BARE, RCBF, TMAX, REGRESSION}
    voxel_ml = 5.0 * 3.2 * 3.2 / 1000.0
    assert record.truth_ml == pytest.approx(cases[0].infarct.sum() * voxel_ml, rel=1e-3)
    assert all(
        one["truth_ml"] == record.scores[NETWORK]["truth_ml"] for one in record.scores.values()
    )
    assert record.scores[RCBF]["found_ml"] < record.scores[TMAX]["found_ml"]
    assert record.scores[NETWORK]["dice"] > 0.5 and record.scores[RCBF]["dice"] > 0.1


def test_the_regression_stands_in_the_networks_place_without_its_temperature(
    cases: list[EvaluationCase], manifest: Manifest, record: CaseRecord
) -> None:
    everywhere = replace(REGRESSION_ON_TMAX, offset=5.0)
    found = judge(cases[0], manifest, {}, LateTissue(), everywhere).scores
    assert found[REGRESSION]["found_ml"] > 800.0 > found[NETWORK]["found_ml"]
    strict = replace(REGRESSION_ON_TMAX, threshold=0.999)
    fewer = judge(cases[0], manifest, {}, LateTissue(), strict).scores
    assert fewer[REGRESSION]["found_ml"] < record.scores[REGRESSION]["found_ml"]


def test_the_network_answers_once_with_and_once_without_ct(
    cases: list[EvaluationCase], manifest: Manifest
) -> None:
    network = LateTissue()
    judge(cases[0], manifest, {}, network)
    assert network.calls == 2


def test_the_interval_is_that_of_the_findings(
    cases: list[EvaluationCase], record: CaseRecord
) -> None:
    root = np.sqrt(record.scores[NETWORK]["found_ml"])
    assert record.interval_ml == pytest.approx(((root - 1.5) ** 2, (root + 1.5) ** 2), abs=0.06)
    assert record.coverage == 0.9
    assert judge(cases[0], coarse_manifest(), {}, LateTissue()).interval_ml is None


def test_reliability_counts_what_the_network_gives_a_chance(record: CaseRecord) -> None:
    counts, said, infarcted = np.array(record.reliability["before"])
    assert set(np.flatnonzero(counts)) == {0, 13}  # 0.02 and 0.9 of 15 bins
    assert said[13] / counts[13] == pytest.approx(0.9, abs=1e-3)
    assert infarcted[13] > 5 * infarcted[0]
    after = np.array(record.reliability["after"])
    assert after[0].sum() == counts.sum() and after[1][after[0] > 0][-1] < said[13]
    assert record.unseen_share < 0.2


def test_a_rejected_case_has_no_numbers(cases: list[EvaluationCase], manifest: Manifest) -> None:
    without = {role: image for role, image in cases[0].images.items() if role != "tmax"}
    found = judge(replace(cases[0], images=without), manifest, {}, LateTissue())
    assert found.status == "rejected" and found.code == "NO_SUITABLE_SERIES"
    assert found.scores == {} and found.interval_ml is None
    assert found.truth_ml > 0


def test_voxel_sizes_come_from_the_slices(cases: list[EvaluationCase]) -> None:
    assert spacing_of(cases[0].stack) == pytest.approx((5.0, 3.2, 3.2))


@pytest.mark.parametrize(
    ("shuttle", "dt_s", "thickness_mm", "kind"),
    [
        (True, 1.5, 5.0, "shuttle mode"),
        (False, 1.5, 5.0, "every 1 to 2 s, 4 to 5 mm slices"),
        (False, 2.5, 8.0, "every 2 to 3 s, 6 to 10 mm slices"),
    ],
)
def test_a_simulated_centre_is_a_kind_of_scanner(
    shuttle: bool, dt_s: float, thickness_mm: float, kind: str
) -> None:
    assert scanner_kind(shuttle=shuttle, dt_s=dt_s, thickness_mm=thickness_mm) == kind


def test_what_is_judged_is_not_judged_again(
    cases: list[EvaluationCase],
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Opened:
        def __init__(self, manifest: Manifest) -> None:
            self.manifest, self.assets = manifest, {}

    network = LateTissue()
    monkeypatch.setattr(evaluate_run, "load_bundle", lambda _folder: Opened(manifest))
    monkeypatch.setattr(evaluate_run, "open_predictor", lambda _bundle, threads: network)
    court = Court(tmp_path / "bundle", tmp_path / "out", REGRESSION_ON_TMAX)
    made: list[str] = []
    lines: list[str] = []

    def each() -> Iterator[tuple[str, Any]]:
        for case in cases:

            def make(case: EvaluationCase = case) -> EvaluationCase:
                made.append(case.case_id)
                return case

            yield case.case_id, make

    first = judge_all(court, each(), lines.append)
    again = judge_all(court, each(), lines.append)
    assert first == again and len(made) == len(lines) == len(cases)
    other = replace(court, regression=replace(REGRESSION_ON_TMAX, threshold=0.9))
    judge_all(other, each(), lines.append)
    assert len(made) == 2 * len(cases)


def test_a_judgement_by_other_rules_is_not_read(record: CaseRecord, tmp_path: Path) -> None:
    save_record(tmp_path, record, "key")
    assert load_record(tmp_path, record.case_id, "key") == record
    assert load_record(tmp_path, record.case_id, "another") is None
    assert load_record(tmp_path, "unknown", "key") is None


def test_the_regression_learns_from_a_store_by_the_parts_of_its_heads(tmp_path: Path) -> None:
    root = write_example(tmp_path / "data", 3, with_series=False)
    prepare_cases(open_isles24(root), InfarctPreparation(coarse_manifest()), tmp_path / "store")
    store = CaseStore(tmp_path / "store")
    first, *others = store.cases
    regression = regression_of(store, coarse_manifest(), others, [first])
    assert regression.channels == (0, 1, 2, 3)
    case = store.read(first)
    found = regression(case.image)[1] >= regression.threshold
    truth = case.labels > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.6


def test_parts_come_from_the_heads_in_the_names() -> None:
    class Named:
        cases = ("head_01_0003", "head_04_7001", "head_07_0001")

    assert parts_of(Named()) == (["head_01_0003"], ["head_07_0001"])  # type: ignore[arg-type]


def test_a_judgement_knows_its_test_set(record: CaseRecord) -> None:
    records = [replace(record, case_id=name) for name in "abcd"]
    summary = summarise(records, draws=20)
    judged = judgement_of(records, summary)
    assert judged.cases == 4
    names = {figure.name: figure.higher_is_better for figure in judged.figures}
    assert names == {"mean Dice": True, "mean absolute volume difference": False}
    fewer = judgement_of(records[:3], summary)
    assert fewer.test_set_sha256 != judged.test_set_sha256
