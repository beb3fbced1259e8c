"""The manifest: whatever changes a result is in it, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.unit.models.phantoms import shipped_manifest
from tests.unit.models.tiny_bundle import manifest_document
from willis_models.errors import ManifestInvalid
from willis_models.manifest import Manifest, read_manifest, sha256_of
from willis_models.pipelines.aspects.parameters import network_grid, parameters_of


def write(path: Path, **changes: object) -> Path:
    document = {
        key: value for key, value in manifest_document(**changes).items() if value != "drop"
    }
    path.write_text(json.dumps(document))
    return path


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    found = read_manifest(write(tmp_path / "manifest.json"))

    assert found.inputs[0].intensity.high == 80.0
    assert json.loads(found.model_dump_json())["limits"] == ["Tiny."]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"colour": "blue"}, "colour"),
        ({"limits": "drop"}, "limits"),
        ({"schema_version": "2.0"}, "schema_version"),
        ({"thresholds": {"gate": {"value": 0.5}}}, "chosen"),
        ({"thresholds": {"gate": {"value": float("nan"), "chosen": "by hand"}}}, "finite"),
        (
            {
                "outputs": [
                    {
                        "value": 0,
                        "key": "a",
                        "label": "a",
                        "structure": ["a", "b", "c"],
                        "laterality": None,
                    }
                ]
            },
            "greater than or equal to 1",
        ),
    ],
)
def test_an_unknown_missing_or_impossible_key_is_invalid(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ManifestInvalid, match=words):
        read_manifest(write(tmp_path / "manifest.json", **changes))


def test_a_manifest_that_is_not_there_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="No readable manifest"):
        read_manifest(tmp_path / "manifest.json")


def test_a_manifest_can_not_be_changed() -> None:
    manifest = Manifest.model_validate(manifest_document())

    with pytest.raises(ValidationError):
        manifest.version = "9.9.9"  # type: ignore[misc]


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")

    assert sha256_of(tmp_path / "file").startswith("ba7816bf8f01cfea")


def test_the_shipped_parameters_are_complete() -> None:
    parameters = parameters_of(shipped_manifest())

    assert set(parameters.states.regions) == {
        "C",
        "L",
        "I",
        "IC",
        "M1",
        "M2",
        "M3",
        "M4",
        "M5",
        "M6",
    }
    assert parameters.registration.warn_symmetry < parameters.registration.warn_similarity


@pytest.mark.parametrize("change", ["unknown", "missing"])
def test_parameters_with_an_unknown_or_a_missing_key_are_invalid(change: str) -> None:
    document = json.loads(shipped_manifest().model_dump_json())
    registration = document["parameters"]["registration"]
    if change == "unknown":
        registration["fudge"] = 1.0
    else:
        del registration["warn_symmetry"]

    with pytest.raises(ManifestInvalid, match=r"fudge|warn_symmetry"):
        parameters_of(Manifest.model_validate(document))


def test_the_networks_grid_is_symmetric_about_the_midplane() -> None:
    grid = network_grid(shipped_manifest())

    first = grid.to_world([0.0, 0.0, 0.0])[0]
    last = grid.to_world([0.0, 0.0, grid.shape[2] - 1.0])[0]
    assert first == -last < 0 < last
