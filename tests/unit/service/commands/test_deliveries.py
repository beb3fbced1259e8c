from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.delivery_rig import Rig, archive_destination, open_rig
from tests.integration.delivery.test_retention import delivered
from willis_service.adapters.storage.retention import SqlHoldings
from willis_service.application.ports.delivering import DeliveryQuery
from willis_service.application.retention import Retain
from willis_service.cli import run
from willis_service.commands.deliveries import list_deliveries, retention, retract, retry
from willis_service.domain.delivery import Postponed, Refused, Sent
from willis_service.domain.peers import Destination
from willis_service.domain.retention import Policy

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("WILLIS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WILLIS_BUNDLE_ROOT", str(tmp_path / "bundles"))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    opened = open_rig(tmp_path)
    opened.destinations = [archive_destination(Destination("PACS", "pacs", 104))]
    return opened


def settle_all(rig: Rig, outcome) -> None:  # type: ignore[no-untyped-def]
    rig.plan()
    for one in rig.outbox.claim("pacs", "c", rig.clock(), rig.clock() + timedelta(minutes=1)):
        rig.outbox.settle(one.id, "c", outcome, rig.clock(), rig.clock() + timedelta(hours=1))


def test_the_list_shows_destinations_and_deliveries(rig, capsys):
    job = rig.job()
    settle_all(rig, Refused("0x0122", "no"))

    assert list_deliveries(rig.desk, DeliveryQuery()) == 0

    text = capsys.readouterr().out
    assert "PACS@pacs:104" in text and "2 refused" in text
    assert job in text and "0x0122" in text


def test_everything_that_is_stuck_is_retried_at_once(rig, capsys):
    rig.job("refused")
    settle_all(rig, Refused("0x0122", "no"))
    rig.job("waiting")
    settle_all(rig, Postponed("UNREACHABLE", "down"))
    rig.job("sent")
    settle_all(rig, Sent())

    retry(rig.desk, None, DeliveryQuery(), again=False)

    assert "4 deliveries are due now" in capsys.readouterr().out
    assert len(rig.rows(state="sent")) == 2


def test_a_retraction_says_what_it_did(rig, capsys):
    job = rig.job()
    settle_all(rig, Sent())

    retract(rig.desk, job, "The wrong side was scored.")

    text = capsys.readouterr().out
    assert f"Job {job} is retracted since" in text
    assert "retraction" in text


def test_a_dry_run_of_retention_prints_what_would_go_and_why_the_rest_stays(rig, capsys):
    delivered(rig, "1.2.1")
    rig.clock.now += timedelta(days=8)
    delivered(rig, "1.2.2")
    policy = Policy(instances_after=timedelta(days=7))
    holdings = SqlHoldings(rig.database, rig.folder)

    retention(Retain(holdings, policy, lambda: 10**12, rig.clock), dry_run=True)

    lines = [line for line in capsys.readouterr().out.splitlines() if "1.2." in line]
    assert "yes" in lines[0] and "kept for its time" in lines[0]
    assert all("no" in line and "not due" in line for line in lines[1:])
    assert (rig.folder / "studies" / "1.2.1").exists()


def test_the_commands_teach_and_run_on_an_empty_installation(capsys):
    assert run(["deliveries", "list"]) == 0
    assert run(["deliveries", "retry", "--all"]) == 0
    assert run(["retention", "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert "Nothing is ever removed" in captured.err
    assert run(["deliveries", "retry", "--help"]) == 0
    assert "--all --to pacs" in capsys.readouterr().out


def test_wrong_usage_says_so(capsys):
    assert run(["deliveries", "retry"]) == 2
    assert run(["deliveries", "drop", "nobody"]) == 2
    assert "UNKNOWN_DELIVERY" in capsys.readouterr().err


def test_a_mistake_in_the_destinations_file_is_told_before_anything_starts(
    monkeypatch, tmp_path, capsys
):
    file = tmp_path / "destinations.toml"
    file.write_text('[[destination]]\nname = "pacs"\nkind = "dicom"\n')
    monkeypatch.setenv("WILLIS_DESTINATIONS_FILE", str(file))

    assert run(["serve"]) == 2

    text = capsys.readouterr().err
    assert "WILLIS_DESTINATIONS_FILE" in text and "address is missing" in text
