from __future__ import annotations

import socket
from pathlib import Path

import pytest

from willis_service.commands import checks
from willis_service.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, bundle_root=tmp_path / "bundles", disk_reserve_mb=1)


def test_another_python_is_a_failure_with_a_way_out():
    check = checks.check_python((3, 12))

    assert (check.outcome, bool(check.fix)) == ("fail", True)


def test_a_folder_that_can_not_be_made_fails(tmp_path):
    (tmp_path / "file").write_text("in the way")

    assert checks.check_data_folder(tmp_path / "file" / "data").outcome == "fail"
    assert checks.check_data_folder(tmp_path / "data").outcome == "ok"


@pytest.mark.parametrize(("reserve_bytes", "outcome"), [(1, "ok"), (2**60, "fail")])
def test_the_disk_is_held_against_the_reserve(tmp_path, reserve_bytes, outcome):
    assert checks.check_disk(tmp_path / "not" / "yet", reserve_bytes).outcome == outcome


def test_a_port_in_use_is_named_with_its_setting():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        check = checks.check_port("HTTP port", "127.0.0.1", port, "WILLIS_HTTP_PORT")

    assert check.outcome == "warn"
    assert "WILLIS_HTTP_PORT" in check.fix
    assert checks.check_port("HTTP port", "127.0.0.1", port, "X").outcome == "ok"


def test_the_embedded_redis_is_there(settings):
    assert checks.check_broker(settings).outcome == "ok"


def test_a_broker_that_does_not_answer_fails_without_showing_its_password(settings):
    away = settings.model_copy(update={"broker_url": "redis://:secret@127.0.0.1:1/0"})

    check = checks.check_broker(away)

    assert check.outcome == "fail"
    assert "secret" not in repr(check)


def test_a_database_that_does_not_answer_fails_without_showing_its_password(settings):
    url = "sqlite:////no/such/folder/secret.sqlite"
    away = settings.model_copy(update={"database_url": url})

    check = checks.check_database(away)

    assert check.outcome == "fail"
    assert "secret" not in repr(check)


def test_a_provider_that_is_not_installed_names_the_extra():
    assert checks.check_provider("CPUExecutionProvider").outcome == "ok"
    assert "willis[gpu]" in checks.check_provider("CUDAExecutionProvider").fix


def test_no_bundle_at_all_fails(settings):
    (check,) = checks.check_bundles(settings)

    assert check.outcome == "fail"


def test_every_check_runs_and_has_a_name(settings):
    names = [check.name for check in checks.all_checks(settings)]

    assert len(names) == len(set(names)) == 9
