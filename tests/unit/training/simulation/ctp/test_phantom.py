"""The phantom that ships keeps what a study needs, and makes one without any other data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.simulation.ctp.small_head import head, stroke
from willis_training.datasets.head_split import part_of
from willis_training.datasets.lesions import split
from willis_training.simulation.ctp import phantom
from willis_training.simulation.ctp.phantom import load_phantom, save_phantom, thinned
from willis_training.simulation.ctp.study import find_phantom, main


def test_a_saved_phantom_reads_back_as_it_was(tmp_path: Path) -> None:
    save_phantom(head(), stroke().named("a lesion"), tmp_path / "phantom.npz")

    found_head, found_stroke = load_phantom(tmp_path / "phantom.npz")

    np.testing.assert_array_equal(found_head.labels, head().labels)
    np.testing.assert_array_equal(found_head.artery, head().artery)
    np.testing.assert_array_equal(found_stroke.core, stroke().core)
    np.testing.assert_array_equal(found_stroke.final_infarct, stroke().final_infarct)
    np.testing.assert_allclose(found_stroke.severity, stroke().severity, atol=0.006)
    assert found_stroke.course == stroke().course
    assert found_stroke.lesion == "a lesion"


def test_a_coarser_head_keeps_the_volumes_and_the_side() -> None:
    small_head, small_stroke = thinned(head(), stroke(), 1.5)

    for fine, coarse in (
        (stroke().core, small_stroke.core),
        (stroke().final_infarct, small_stroke.final_infarct),
    ):
        assert coarse.sum() * 1.5**3 == pytest.approx(fine.sum(), rel=0.15)
    left = small_head.grid.to_world(np.argwhere(small_stroke.core) * 2.0)[:, 0]
    assert (left > 0).all()
    assert small_head.artery.sum() * 1.5**3 == pytest.approx(head().artery.sum(), rel=0.15)


def test_the_shipped_phantom_is_small_test_material_with_a_stroke_on_the_right() -> None:
    path = find_phantom()
    found_head, found_stroke = load_phantom(path)

    assert path.stat().st_size < 1_000_000
    assert part_of(found_head.name) == "test"
    assert split(found_stroke.lesion) == "test"
    x_lps = found_head.grid.to_world(np.argwhere(found_stroke.core) * 2.0)[:, 0]
    assert (x_lps < found_head.centre_lps[0]).mean() > 0.95


def test_the_command_writes_a_study_and_its_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from willis_training.simulation.ctp import study

    save_phantom(head(), stroke(), tmp_path / "phantom.npz")
    small = study.native_protocol

    def short(rng: np.random.Generator, matrix: int) -> object:
        from dataclasses import replace

        return replace(small(rng, 32), slices=3, duration_s=6.0)

    monkeypatch.setattr(study, "native_protocol", short)
    main(["--out", str(tmp_path / "out"), "--phantom", str(tmp_path / "phantom.npz")])

    truth = json.loads((tmp_path / "out" / "truth.json").read_text())
    assert truth["final_infarct_ml"] > 0
    assert len(list((tmp_path / "out" / "ctp").glob("*.dcm"))) == 4 * 3
    assert "core" in capsys.readouterr().out


def test_making_a_study_needs_no_torch() -> None:
    code = (
        "import sys; import willis_training.simulation.ctp.study; "
        "heavy = {'torch', 'monai', 'ants', 'nilearn', 'sklearn', 'matplotlib'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_recipe_names_test_material() -> None:
    assert part_of(phantom.HEAD) == "test"
    assert split(phantom.LESION) == "test"
