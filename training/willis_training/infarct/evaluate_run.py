"""Judge a bundle on many cases, in several processes; what is judged already is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from willis_models.manifest import Figure, Judgement, Manifest
from willis_models.pipelines.infarct.roles import MAP_ROLES
from willis_models.runtime.bundle import load_bundle
from willis_models.runtime.session import open_predictor
from willis_training.datasets.head_split import part_of
from willis_training.fitting.samples import CaseStore, PreparedCase, parameters_digest
from willis_training.infarct.baselines import (
    VoxelRegression,
    fit_regression,
    with_best_threshold,
)
from willis_training.infarct.evaluate import CaseRecord, judge
from willis_training.infarct.evaluate_cases import (
    EvaluationCase,
    of_simulated,
)
from willis_training.infarct.evaluate_summary import flat_figures
from willis_training.infarct.simulated import Patients, head_paths
from willis_training.infarct.study_numbers import FIRST_TEST_NUMBER

Report = Callable[[str], None]
METHOD = "evaluation 1"
"""Changes with the code whenever the same case would be judged differently."""


@dataclass(frozen=True)
class Court:
    """Who is judged, and where the judgements are kept: the bundle's folder and ``folder``."""

    bundle: Path
    folder: Path
    regression: VoxelRegression | None = None
    threads: int = 1

    def key(self, manifest: Manifest) -> str:
        """Changes with the weights, the parameters, the thresholds or the regression."""
        stated = manifest.model_dump(mode="json", include={"parameters", "thresholds", "inputs"})
        own = None if self.regression is None else asdict(self.regression)
        weights = manifest.files_sha256.get("model.onnx", "")
        return parameters_digest({"as": METHOD, "weights": weights, "by": stated, "beside": own})


def judge_all(
    court: Court, cases: Iterable[tuple[str, Callable[[], EvaluationCase]]], report: Report
) -> list[CaseRecord]:
    """Judge cases one after the other; a case is only made where it is not judged yet."""
    bundle = load_bundle(court.bundle)
    predictor = open_predictor(bundle, threads=court.threads)
    key, found = court.key(bundle.manifest), []
    for name, make in cases:
        record = load_record(court.folder, name, key)
        if record is None:
            record = judge(make(), bundle.manifest, bundle.assets, predictor, court.regression)
            save_record(court.folder, record, key)
            dice = {method: round(one["dice"], 3) for method, one in record.scores.items()}
            report(f"{name} {record.status} {record.code or ''} {record.truth_ml:.1f} mL {dice}")
        found.append(record)
    return found


def judge_simulated(
    court: Court,
    cache: Path,
    data: Path,
    cases_a_head: int,
    first: int = FIRST_TEST_NUMBER,
    workers: int = 1,
    report: Report = lambda _line: None,
) -> list[CaseRecord]:
    """Judge on cases ``first`` and on of every test head; a process for each head at most."""
    numbers = range(first, first + cases_a_head)
    work = partial(_judge_head, court, cache, data, numbers)
    heads = head_paths(cache, "test")
    if workers <= 1:
        each = [_judge_head(court, cache, data, numbers, head, report) for head in heads]
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            each = list(pool.map(work, heads))
    return [record for records in each for record in records]


def _judge_head(
    court: Court,
    cache: Path,
    data: Path,
    numbers: range,
    head: Path,
    report: Report = lambda _line: None,
) -> list[CaseRecord]:
    patients: list[Patients] = []

    def make(number: int) -> EvaluationCase:
        if not patients:
            patients.append(Patients.load(head, cache, data))
        return of_simulated(patients[0].simulate(number))

    cases = [(f"{head.stem}_{number:04d}", partial(make, number)) for number in numbers]
    return judge_all(court, cases, report)


def save_record(folder: Path, record: CaseRecord, key: str) -> None:
    """Write one judgement, whole or not at all."""
    path = _path_of(folder, record.case_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(".part")
    partial_file.write_text(json.dumps({"key": key, **asdict(record)}) + "\n", encoding="utf-8")
    partial_file.replace(path)


def load_record(folder: Path, case_id: str, key: str) -> CaseRecord | None:
    """A judgement of the same bundle by the same rules; None where there is none."""
    path = _path_of(folder, case_id)
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("key", None) != key or set(content) != {one.name for one in fields(CaseRecord)}:
        return None
    interval = content["interval_ml"]
    content["interval_ml"] = None if interval is None else tuple(interval)
    return CaseRecord(**content)


def _path_of(folder: Path, case_id: str) -> Path:
    return folder / "records" / f"{case_id}.json"


def regression_of(
    store: CaseStore, manifest: Manifest, train: Sequence[str], validation: Sequence[str]
) -> VoxelRegression:
    """The regression on the maps among the network's inputs, from prepared cases."""
    channels = [n for n, one in enumerate(manifest.inputs) if one.role in MAP_ROLES]

    def read(names: Sequence[str]) -> Iterable[PreparedCase]:
        return (store.read(name) for name in names)

    return with_best_threshold(fit_regression(read(train), channels), read(validation))


def parts_of(store: CaseStore) -> tuple[list[str], list[str]]:
    """Simulated cases that teach and that choose, by the head in their names."""
    by_part: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for case in store.cases:
        by_part[part_of(case.rpartition("_")[0])].append(case)
    return by_part["train"], by_part["validation"]


def evaluation_document(
    records: Sequence[CaseRecord], summary: dict[str, Any], regression: VoxelRegression | None
) -> dict[str, Any]:
    """``evaluation.json``: the summary, the fitted baseline, and every case."""
    return {
        "summary": summary,
        "regression": None if regression is None else asdict(regression),
        "cases": [asdict(record) for record in records],
    }


def judgement_of(records: Sequence[CaseRecord], summary: dict[str, Any]) -> Judgement:
    """The figures that versions are compared by. A case is its name and its true volume."""
    cases = {record.case_id: f"{record.truth_ml:.3f}" for record in records}
    values = flat_figures(summary)
    figures = (
        Figure(name="mean Dice", value=values["dice"]),
        Figure(
            name="mean absolute volume difference",
            value=values["volume_difference_ml"],
            higher_is_better=False,
        ),
    )
    digest = parameters_digest(cases)
    return Judgement(test_set_sha256=digest, cases=len(cases), figures=figures)
