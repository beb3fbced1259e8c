"""Fills the store of simulated cases: studies prepared by the function that the service runs.

The store is one of `willis_training.fitting.samples`, so that every tool for prepared cases reads
it; ``facts.jsonl`` beside it says of each case what was drawn. Filling resumes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from willis_models.errors import InputError
from willis_models.manifest import Manifest
from willis_training.fitting.samples import (
    INDEX,
    CaseStore,
    PreparedCase,
    StoreIndex,
    parameters_digest,
    write_case,
)
from willis_training.infarct.contract import draft_manifest
from willis_training.infarct.preparation import InfarctPreparation, prepared_case
from willis_training.infarct.simulated import Patients, SimulatedCase
from willis_training.simulation.ctp.parameters import PARAMETERS

FACTS = "facts.jsonl"
LABEL_NAMES = {0: "background", 1: "final infarct"}
BANDS_ML = (5.0, 25.0, 70.0)
"""Limits of the severity bands by volume of the final infarct within the slab."""

CASES_A_BATCH = 8
"""Cases of a head that are made before another one has its turn."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class CaseFacts:
    """What is known of one case. ``rejected``: the code with which the service would refuse it.

    Volumes in mL within the slab; ``core_found_ml`` and ``hypoperfused_found_ml`` are what the
    pipeline measures (rCBF < 30%, Tmax > 6 s), None where it could not.
    """

    name: str
    head: str
    lesion: str
    severity: int
    core_ml: float
    penumbra_ml: float
    final_infarct_ml: float
    core_found_ml: float | None = None
    hypoperfused_found_ml: float | None = None
    rejected: str | None = None
    drawn: dict[str, Any] | None = None


def severity_band(final_infarct_ml: float) -> int:
    """0 (small) to 3 (large)."""
    return sum(final_infarct_ml >= limit for limit in BANDS_ML)


def make_case(case: SimulatedCase, manifest: Manifest) -> tuple[PreparedCase | None, CaseFacts]:
    """Prepare a simulated study with its truth; None where the service would reject it."""
    study = case.study
    volumes_ml = {name: round(ml, 3) for name, ml in case.volumes_ml.items()}
    drawn = {k: v for k, v in study.settings.items() if isinstance(v, int | float | bool | str)}
    facts = CaseFacts(
        name=case.name,
        head=case.head,
        lesion=case.lesion,
        severity=severity_band(volumes_ml["final_infarct"]),
        core_ml=volumes_ml["core"],
        penumbra_ml=volumes_ml["penumbra"],
        final_infarct_ml=volumes_ml["final_infarct"],
        drawn=drawn,
    )
    try:
        stack = study.dynamic.still(study.truth.cbf)
        made, context = prepared_case(case.images, study.truth.final_infarct, stack, manifest)
    except InputError as error:
        return None, replace(facts, rejected=error.code)
    numbers = context.measured.numbers
    found = replace(
        facts, core_found_ml=numbers.core_ml, hypoperfused_found_ml=numbers.hypoperfused_ml
    )
    return made, found


@dataclass(frozen=True)
class Order:
    """Which cases of one head to make, and where everything lies."""

    head: Path
    numbers: tuple[int, ...]
    cache: Path
    data: Path
    store: Path


def fill_store(
    heads: Sequence[Path],
    numbers: range,
    cache: Path,
    data: Path,
    store: Path,
    report: Report,
    workers: int = 1,
) -> CaseStore:
    """Make what is missing, a few cases of every head at a time; then write the index."""
    store.mkdir(parents=True, exist_ok=True)
    known = {facts.name for facts in read_facts(store)}
    orders = []
    for start in range(numbers.start, numbers.stop, CASES_A_BATCH):
        batch = range(start, min(start + CASES_A_BATCH, numbers.stop))
        for path in heads:
            missing = tuple(n for n in batch if f"{path.stem}_{n:04d}" not in known)
            if missing:
                orders.append(Order(path, missing, cache, data, store))
    with ProcessPoolExecutor(max(workers, 1), get_context("spawn")) as pool:
        for line in pool.map(_make_cases, orders):
            report(line)
    return write_index(store)


def _make_cases(order: Order) -> str:
    """One head's cases, each written when it is made."""
    patients = Patients.load(order.head, order.cache, order.data)
    manifest = draft_manifest()
    preparation = InfarctPreparation(manifest).digest
    made = 0
    for number in order.numbers:
        prepared, facts = make_case(patients.simulate(number), manifest)
        entry = None
        if prepared is not None:
            key = case_key(facts, preparation)
            entry = write_case(prepared, facts.name, order.store, key).model_dump(mode="json")
            made += 1
        _keep(order.store / "parts", facts, entry)
    return f"{order.head.stem}: {made} cases, {len(order.numbers) - made} rejected"


def case_key(facts: CaseFacts, preparation: str) -> str:
    """Digest of what a case was made of: its name, the simulator's table, the preparation."""
    table = {one.key: [one.low, one.high] for one in PARAMETERS.values()}
    made_of = {"name": facts.name, "lesion": facts.lesion, "preparation": preparation}
    return parameters_digest({**made_of, "parameters": table})


def _keep(folder: Path, facts: CaseFacts, entry: dict[str, Any] | None) -> None:
    folder.mkdir(exist_ok=True)
    document = json.dumps({"facts": asdict(facts), "entry": entry})
    partial = folder / f".{facts.name}.part"
    partial.write_text(document + "\n")
    partial.replace(folder / f"{facts.name}.json")


def write_index(store: Path) -> CaseStore:
    """Join what each case left behind into ``index.json`` and ``facts.jsonl``."""
    parts = [json.loads(path.read_text()) for path in sorted((store / "parts").glob("*.json"))]
    preparation = InfarctPreparation(draft_manifest())
    index = StoreIndex(
        data_set="simulated CT perfusion",
        label_names=LABEL_NAMES,
        preparation={**preparation.description, "digest": preparation.digest},
        cases={p["facts"]["name"]: p["entry"] for p in parts if p["entry"] is not None},
        set_aside={p["facts"]["name"]: p["facts"]["rejected"] for p in parts if p["entry"] is None},
    )
    (store / INDEX).write_text(index.model_dump_json(indent=1))
    lines = "".join(json.dumps(part["facts"]) + "\n" for part in parts)
    (store / FACTS).write_text(lines)
    return CaseStore(store)


def read_facts(store: Path) -> list[CaseFacts]:
    """What is known of every case that was made or rejected so far, by name."""
    parts = sorted((store / "parts").glob("*.json"))
    return [CaseFacts(**json.loads(path.read_text())["facts"]) for path in parts]
