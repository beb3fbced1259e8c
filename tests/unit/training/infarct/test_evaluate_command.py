from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tests.infarct_bundle import NAME, VERSION, write_infarct_bundle
from tests.unit.training.infarct.coarse_grid import coarse_manifest, coarsen_bundle
from willis_training.cli import app
from willis_training.datasets.isles24.example import write_example
from willis_training.datasets.isles24.layout import open_isles24
from willis_training.fitting.samples import prepare_cases
from willis_training.infarct.preparation import InfarctPreparation

RUN = CliRunner()


def test_a_bundle_is_judged_on_a_fold_of_real_cases(tmp_path: Path) -> None:
    bundles = write_infarct_bundle(tmp_path / "bundles")
    coarsen_bundle(bundles / NAME / VERSION)
    train = write_example(tmp_path / "data", 5, with_series=False)
    prepare_cases(open_isles24(train), InfarctPreparation(coarse_manifest()), tmp_path / "store")
    folds = {
        "folds": [
            {
                "name": "fold_0",
                "train": [f"sub-stroke{n:04d}" for n in (1, 2, 3)],
                "validation": ["sub-stroke0004", "sub-stroke0005"],
                "test": [],
            }
        ]
    }
    (tmp_path / "folds.json").write_text(json.dumps(folds))
    arguments = ["infarct", "evaluate", "--bundles", str(bundles), "--isles24", str(train)]
    arguments += ["--split", str(tmp_path / "folds.json"), "--store", str(tmp_path / "store")]
    arguments += ["--out", str(tmp_path / "out"), "--page", str(tmp_path / "page.md")]
    wrong = RUN.invoke(app, [*arguments, "--fold", "fold_9"])
    assert wrong.exit_code == 2 and "has fold_0" in " ".join(wrong.output.split())
    result = RUN.invoke(app, [*arguments, "--fold", "fold_0"])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [case["case_id"] for case in document["cases"]] == ["sub-stroke0004", "sub-stroke0005"]
    assert document["summary"]["methods"]["network"]["dice"]["mean"] > 0.5
    assert document["regression"]["channels"] == [0, 1, 2, 3]
    page = (tmp_path / "page.md").read_text()
    assert "measured on 2 cases of ISLES'24 only" in page and "centre_1" in page


def test_a_missing_store_is_told_in_a_sentence(tmp_path: Path) -> None:
    bundles = write_infarct_bundle(tmp_path / "bundles")
    arguments = ["infarct", "evaluate", "--bundles", str(bundles), "--store", str(tmp_path / "no")]
    result = RUN.invoke(app, [*arguments, "--out", str(tmp_path)])
    told = "".join(letter for letter in result.output if letter not in "│\n ")
    assert result.exit_code == 2 and "isnostoreofpreparedcases" in told
