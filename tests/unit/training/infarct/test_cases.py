"""The store of simulated cases: named, resumed, and honest about what was rejected."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.infarct.small_store import case as prepared_case
from willis_models.errors import ScanTooShort
from willis_training.fitting.samples import write_case
from willis_training.infarct import cases, preparation
from willis_training.infarct.cases import (
    CaseFacts,
    case_key,
    read_facts,
    severity_band,
    write_index,
)
from willis_training.infarct.folds import severity_folds, write_folds
from willis_training.infarct.simulated import seed_of


def facts(name: str, ml: float = 10.0, rejected: str | None = None) -> CaseFacts:
    head = name.rpartition("_")[0]
    return CaseFacts(name, head, "lesion-1", severity_band(ml), 1.0, 2.0, ml, rejected=rejected)


@pytest.mark.parametrize(
    ("volume_ml", "band"), [(0.0, 0), (4.9, 0), (5.0, 1), (30.0, 2), (70.0, 3), (200.0, 3)]
)
def test_severity_rises_with_the_volume(volume_ml: float, band: int) -> None:
    assert severity_band(volume_ml) == band


def test_the_index_holds_what_was_made_and_names_what_was_not(tmp_path: Path) -> None:
    entry = write_case(prepared_case(0), "head_01_0000", tmp_path, "key").model_dump(mode="json")
    cases._keep(tmp_path / "parts", facts("head_01_0000"), entry)
    cases._keep(tmp_path / "parts", facts("head_01_0001", rejected="SCAN_TOO_SHORT"), None)

    store = write_index(tmp_path)

    assert store.cases == ("head_01_0000",)
    assert dict(store.index.set_aside) == {"head_01_0001": "SCAN_TOO_SHORT"}
    lines = (tmp_path / "facts.jsonl").read_text().splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["head_01_0000", "head_01_0001"]
    assert store.read("head_01_0000").labels.any()


def test_a_store_without_cases_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) == []


def test_a_case_has_its_own_seed_and_another_preparation_another_key() -> None:
    assert seed_of("head_01", 3) == seed_of("head_01", 3)
    assert len({seed_of(head, n) for head in ("head_01", "head_02") for n in range(50)}) == 100
    assert case_key(facts("a_1"), "one") != case_key(facts("a_1"), "two")
    assert case_key(facts("a_1"), "one") != case_key(facts("a_2"), "one")


def test_a_study_that_the_service_rejects_is_kept_with_its_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.unit.training.simulation.ctp.test_perfusion import quiet_scan
    from willis_training.infarct.contract import draft_manifest
    from willis_training.infarct.simulated import SimulatedCase

    def refuses(*_arguments: object) -> None:
        raise ScanTooShort("The scan is too short.")

    monkeypatch.setattr(preparation, "raise_first_reject", refuses)
    simulated = SimulatedCase("head_01_0000", "head_01", "lesion-1", quiet_scan())

    made, known = cases.make_case(simulated, draft_manifest())

    assert made is None
    assert known.rejected == ScanTooShort.code
    assert known.final_infarct_ml > 0 and known.core_found_ml is None
    assert set(simulated.images) == {"ctp", "ncct", "cta"}


def test_folds_judge_every_head_once_and_each_holds_small_and_large_infarcts(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    known = [
        facts(f"head_{head:02d}_{n:04d}", float(rng.lognormal(2.5, 1.2)))
        for head in range(13)
        for n in range(12)
    ]
    known.append(facts("head_01_0099", rejected="X"))

    folds = write_folds(known, tmp_path / "folds.json")

    assert folds == severity_folds(known)
    judged = [name for fold in folds for name in fold.test]
    assert sorted(judged) == sorted(one.name for one in known if one.rejected is None)
    volumes = {one.name: one.final_infarct_ml for one in known}
    for fold in folds:
        heads = [{n.rpartition("_")[0] for n in part} for part in (fold.train, fold.validation)]
        assert not heads[0] & heads[1]
        assert min(volumes[n] for n in fold.test) < 5 < 25 < max(volumes[n] for n in fold.test)
