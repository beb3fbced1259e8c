from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.aspects.tiny_cases import SHAPE, case
from willis_models.findings import INTENDED_USE_STATEMENT
from willis_models.manifest import LearntFrom
from willis_models.runtime.bundle import Bundle, latest_bundle
from willis_training.analysis.results import load_cases
from willis_training.aspects import recipe
from willis_training.aspects.own_draft import NotServable, write_draft
from willis_training.aspects.regions_data import LABEL_NAMES
from willis_training.datasets.splits import Fold
from willis_training.fitting.config import HardwareConfig, RunConfig, TrackingConfig
from willis_training.fitting.fit import fit
from willis_training.fitting.samples import INDEX, CaseStore, PreparedCase, StoreIndex, write_case
from willis_training.networks.build import NetworkConfig
from willis_training.publication.bundle import publish
from willis_training.publication.draft import read_draft

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")

CASES = tuple(f"sub-{n:02d}" for n in range(4))
FOLD = Fold("split", CASES[:2], CASES[2:3], CASES[3:])
OURS = LearntFrom(name="Head CT of ours", licence="internal", source="our PACS")
INPUT = recipe.draft_manifest().inputs[0].model_copy(update={"shape": SHAPE})
MANIFEST = recipe.draft_manifest().model_copy(update={"inputs": (INPUT,), "version": "7.0.0"})


def prepared(seed: int) -> PreparedCase:
    one = case(seed=seed)
    image = np.clip(one.hu / 80.0, 0.0, 1.0).astype(np.float32)
    return PreparedCase(image[None], one.regions, (2.0, 2.0, 2.0))


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a base bundle's assets, and a run of one step."""
    folder = tmp_path_factory.mktemp("own")
    store = folder / "store"
    store.mkdir()
    cases = {name: write_case(prepared(n), name, store, "") for n, name in enumerate(CASES)}
    index = StoreIndex(label_names=LABEL_NAMES, cases=cases)
    (store / INDEX).write_text(index.model_dump_json())
    np.savez(folder / "assets.npz", template_hu=np.zeros(3))
    config = RunConfig(
        folder=folder / "run",
        iterations=1,
        batch=1,
        network=NetworkConfig(classes=21, patch=SHAPE, widths=(2, 4)),
        hardware=HardwareConfig(accelerator="cpu", precision="float32", threads=1),
        tracking=TrackingConfig(tensorboard=False, pictures=0),
    )
    fit(config, FOLD.train, FOLD.validation, CaseStore(store))
    return folder


def draft_of(workshop: Path, out: Path, base: Bundle, fold: Fold = FOLD) -> None:
    store = CaseStore(workshop / "store")
    write_draft(workshop / "run", fold, store, base, OURS, out, out.with_name("results"))


def test_a_run_of_ones_own_becomes_a_version_of_the_bundle(workshop: Path, tmp_path: Path) -> None:
    draft_of(workshop, tmp_path / "draft", Bundle(workshop, MANIFEST))
    draft = read_draft(tmp_path / "draft", tmp_path / "bundles")
    publish(draft.model, draft.content, tmp_path / "bundles")

    found = latest_bundle("aspects", tmp_path / "bundles").manifest
    assert found.version == "0.1.0"
    assert found.parameters == MANIFEST.parameters
    assert found.outputs == MANIFEST.outputs
    assert found.learnt_from == (OURS,)
    assert INTENDED_USE_STATEMENT in found.limits
    assert found.provenance is not None
    assert found.provenance.data_sha256 == CaseStore(workshop / "store").digest(CASES[:3])


def test_it_is_judged_on_the_test_cases_and_on_no_other(workshop: Path, tmp_path: Path) -> None:
    draft_of(workshop, tmp_path / "draft", Bundle(workshop, MANIFEST))
    content = read_draft(tmp_path / "draft", tmp_path / "bundles").content
    assert set(content.evaluation["region_dice"]) == set(FOLD.test)
    assert len(content.evaluation["region_dice"][CASES[3]]) == 20
    judged = content.manifest["judgement"]
    assert judged["cases"] == 1
    assert judged["test_set_sha256"] == CaseStore(workshop / "store").digest(FOLD.test)
    saved = {case.case_id: case.part for case in load_cases(tmp_path / "results")}
    assert saved == {CASES[2]: "validation", CASES[3]: "test"}


def test_a_network_of_another_size_is_refused_with_what_to_train(
    workshop: Path, tmp_path: Path
) -> None:
    shipped = replace(latest_bundle("aspects"), folder=workshop)
    with pytest.raises(NotServable, match=r"\[72, 128, 112\]"):
        draft_of(workshop, tmp_path / "draft", shipped)
    assert not (tmp_path / "draft").exists()


def test_without_test_cases_there_is_no_draft(workshop: Path, tmp_path: Path) -> None:
    with pytest.raises(NotServable, match="no test cases"):
        fold = Fold("split", CASES[:2], CASES[2:3])
        draft_of(workshop, tmp_path / "draft", Bundle(workshop, MANIFEST), fold)
