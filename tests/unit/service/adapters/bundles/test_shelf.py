"""A worker only gets models whose maker is trusted and whose files are those that were signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.signed_bundles import KEY, STRANGER, write_trusted_keys
from tests.toy_core import Toy, toy_core
from tests.toy_pipeline import NAME, VERSION, write_toy_bundle
from willis_models.errors import (
    SignatureInvalid,
    SignatureMissing,
    SignerNotTrusted,
    TrustedKeysInvalid,
)
from willis_models.runtime.signature import sign_bundle
from willis_service.adapters.storage.workers import SqlWorkers
from willis_service.bootstrap.api import desk_of
from willis_service.bootstrap.working import worker_of


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_toy_bundle(tmp_path / "bundles") / NAME / VERSION


@pytest.fixture
def toy(tmp_path: Path, bundle: Path) -> Toy:
    keys = write_trusted_keys(tmp_path / "keys", KEY)
    return toy_core(tmp_path, require_signature=True, trusted_keys=keys)


def state(toy: Toy) -> str:
    return desk_of(toy.core).readiness()["models"]


def test_a_worker_starts_with_a_signed_bundle(toy: Toy, bundle: Path) -> None:
    sign_bundle(bundle, KEY)

    assert worker_of(toy.core).pulse.models == (f"{NAME} {VERSION}",)
    assert state(toy) == "ok"


def test_a_worker_with_an_unsigned_bundle_is_never_ready(toy: Toy) -> None:
    with pytest.raises(SignatureMissing):
        worker_of(toy.core)
    assert "not signed" in state(toy)


def test_a_worker_with_the_bundle_of_a_stranger_is_never_ready(toy: Toy, bundle: Path) -> None:
    sign_bundle(bundle, STRANGER)

    with pytest.raises(SignerNotTrusted):
        worker_of(toy.core)
    assert "not trusted" in state(toy)


def test_a_worker_with_an_altered_bundle_is_never_ready(toy: Toy, bundle: Path) -> None:
    sign_bundle(bundle, KEY)
    assert state(toy) == "ok"
    (bundle / "CARD.md").write_text("added later")

    with pytest.raises(SignatureInvalid):
        worker_of(toy.core)
    assert "altered" in state(toy)


def test_a_file_of_keys_that_is_missing_stops_the_worker_and_nobody_else(tmp_path: Path) -> None:
    toy = toy_core(tmp_path, require_signature=True, trusted_keys=tmp_path / "nothing")

    with pytest.raises(TrustedKeysInvalid):
        worker_of(toy.core)
    assert "trusted keys" in state(toy)
    assert SqlWorkers(toy.core.database).database is toy.core.database


def test_models_used_last_stay_loaded_and_others_go(tmp_path: Path) -> None:
    toy = toy_core(tmp_path)
    for number in range(2, 6):
        write_toy_bundle(toy.core.settings.added_bundles, f"{number}.0.0")
    models = toy.runner().models
    first = toy.core.bundles.current(NAME)
    kept = models.take(NAME, first)

    for number in range(2, 6):
        models.take(NAME, toy.core.bundles.find(NAME, f"{number}.0.0"))
        assert models.take(NAME, first) is kept

    assert len(models._loaded) == 3  # type: ignore[attr-defined]
