"""The values that go into the manifest, and the template on which they rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.labelled_head import TO_MNI, anatomy
from willis_models.codes import ASPECTS_REGIONS
from willis_models.pipelines.aspects.features import mirror_of
from willis_models.pipelines.aspects.parameters import network_grid, parameters_of
from willis_models.runtime.bundle import latest_bundle
from willis_training.aspects import recipe
from willis_training.aspects.card import render_card
from willis_training.aspects.template import MIRRORED_LABEL, build_template, template_grid
from willis_training.simulation.anatomy import Anatomy


def test_the_draft_is_a_manifest_that_the_pipeline_accepts() -> None:
    manifest = recipe.draft_manifest()

    assert parameters_of(manifest).states.features == ()
    assert network_grid(manifest).shape == recipe.GRID_SHAPE


def test_the_shipped_bundle_is_in_step_with_the_recipe() -> None:
    """What the network was trained on must be what the service prepares."""
    drafted = recipe.draft_manifest()
    shipped = latest_bundle("aspects").manifest

    assert shipped.inputs == drafted.inputs
    assert shipped.outputs == drafted.outputs
    for part in ("check", "brain", "registration", "tissue", "rule"):
        assert getattr(parameters_of(shipped), part) == getattr(parameters_of(drafted), part)


def test_labels_run_left_then_right_in_the_order_of_the_regions() -> None:
    keys = [output["key"] for output in recipe.outputs()]

    assert keys == [f"{side}_{name}" for side in ("left", "right") for name in ASPECTS_REGIONS]
    assert [output["value"] for output in recipe.outputs()] == list(range(1, 21))


def test_mirroring_a_label_is_the_same_in_training_and_in_the_pipeline() -> None:
    assert MIRRORED_LABEL.tolist() == [0, *(mirror_of(n) for n in range(1, 21))]


def test_the_template_is_symmetric_and_lies_symmetrically_about_the_midplane() -> None:
    assets = build_template([anatomy()])
    grid = template_grid()

    np.testing.assert_array_equal(assets["template_hu"], assets["template_hu"][..., ::-1])
    np.testing.assert_array_equal(assets["template_brain"], assets["template_brain"][..., ::-1])
    first, last = (grid.to_world(np.array([0.0, 0.0, x]))[0] for x in (0, grid.shape[2] - 1))
    assert first == -last


def test_the_template_holds_the_heads_tissue_and_its_regions() -> None:
    # At its own size the head has one coarse voxel for each cell of the template.
    head = replace(anatomy().head, mni_lps=anatomy().head.mni_lps / TO_MNI)
    assets = build_template([Anatomy(head)])
    grid = template_grid()
    inside = assets["template_brain"] > 0

    assert inside.sum() * grid.voxel_ml == pytest.approx(
        4 / 3 * np.pi * 28 * 34 * 28 / 1000, rel=0.1
    )
    hu = assets["template_hu"][inside].astype(float)
    assert set(np.unique(hu.round(1))) <= {6.0, 17.2, 20.5, 28.5, 31.8, 35.0}
    assert not assets["template_hu"][~inside].any()
    assert not assets["atlas"][~inside].any()
    x_lps = grid.to_world(np.argwhere(assets["atlas"] > 10).astype(float))[:, 0]
    assert (x_lps < 0).all()


def test_the_card_says_what_was_not_measured() -> None:
    manifest = latest_bundle("aspects").manifest.model_dump(mode="json")

    card = render_card(manifest, {})

    assert "Not evaluated yet." in card
    assert "Performance on patients: not measured." in card
    for source in manifest["learnt_from"]:
        assert source["licence"] in card
