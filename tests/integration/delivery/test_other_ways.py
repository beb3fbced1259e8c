"""STOW-RS, webhook and folder: real servers and folders, and what their answers mean."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
from email import message_from_bytes
from email.policy import HTTP
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.delivery_rig import Rig, run_until_idle
from tests.web_peers import Asked, Reply, WebPeer
from willis_service.adapters.delivery.folder import FolderCarrier
from willis_service.adapters.delivery.stow import StowCarrier
from willis_service.adapters.delivery.webhook import WebhookCarrier
from willis_service.adapters.dicom.store_status import outcome_of
from willis_service.domain.destinations import (
    Basic,
    Bearer,
    FolderTarget,
    ResultDestination,
    Secret,
    StowTarget,
    WebhookBody,
    WebhookTarget,
)
from willis_service.domain.job import ResultKind

SECRET = Secret("abracadabra")
ALL_KINDS = (ResultKind.FINDINGS, ResultKind.SEG, ResultKind.SR)


def stow_lane(rig: Rig, url: str, auth=None, timeout_s: float = 5):  # type: ignore[no-untyped-def]
    target = StowTarget(url, auth)
    rig.destinations = [ResultDestination("vna", target)]
    return rig.lane(rig.destinations[0], StowCarrier(target, timeout_s, outcome_of))


def hook_lane(rig: Rig, url: str, body: WebhookBody = WebhookBody.FINDINGS):  # type: ignore[no-untyped-def]
    target = WebhookTarget(url, SECRET, body)
    rig.destinations = [ResultDestination("cds", target)]
    return rig.lane(rig.destinations[0], WebhookCarrier(target, 5, rig.clock))


def go(rig: Rig, lane) -> None:  # type: ignore[no-untyped-def]
    rig.plan()
    run_until_idle(lane)


def instance_of(asked: Asked):  # type: ignore[no-untyped-def]
    head = f"Content-Type: {asked.headers['Content-Type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + asked.body, policy=HTTP).iter_parts()
    return dcmread(BytesIO(part.get_payload(decode=True)))


def answer(sequence: str, uid: str, key: str = "", reason: int = 0) -> bytes:
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    if key:
        item[key] = {"vr": "US", "Value": [reason]}
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()


def test_stow_posts_each_object_whole_and_says_who_we_are(rig):
    job = rig.job()
    with WebPeer() as vna:
        go(rig, stow_lane(rig, vna.url + "/dicom-web", Basic("willis", Secret("sesame"))))

    sent = [instance_of(asked) for asked in vna.asked]
    assert [asked.path for asked in vna.asked] == ["/dicom-web/studies"] * 2
    assert {str(one.SOPInstanceUID) for one in sent} == set(rig.uids(job).values())
    assert sent[0].PixelData == rig.read(job, ResultKind.SEG).PixelData
    assert vna.asked[0].headers["Authorization"].startswith("Basic ")
    assert rig.states() == {"SEG": "sent", "SR": "sent"}


def test_stow_with_a_token(rig):
    rig.job()
    with WebPeer() as vna:
        go(rig, stow_lane(rig, vna.url, Bearer(Secret("token"))))

    assert vna.asked[0].headers["Authorization"] == "Bearer token"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *[(status, "waiting") for status in (503, 500, 429, 408)],
        *[(status, "refused") for status in (400, 401, 404, 415, 302)],
    ],
)
def test_http_statuses_are_told_apart(rig, status, state):
    rig.job()
    with WebPeer(lambda _: Reply(status)) as vna:
        go(rig, stow_lane(rig, vna.url))

    assert {(row.state.value, row.error_code) for row in rig.rows()} == {(state, f"HTTP_{status}")}


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [
        (202, 0xA700, "waiting"),
        (409, 0xA700, "waiting"),
        (409, 0x0122, "refused"),
        (202, 0xC000, "refused"),
    ],
)
def test_a_failure_reason_counts_as_in_dimse_whatever_the_http_status(rig, status, reason, state):
    rig.job()

    def fail(asked: Asked) -> Reply:
        uid = str(instance_of(asked).SOPInstanceUID)
        return Reply(status, answer("00081198", uid, "00081197", reason))

    with WebPeer(fail) as vna:
        go(rig, stow_lane(rig, vna.url))

    assert {(r.state.value, r.error_code) for r in rig.rows()} == {(state, f"0x{reason:04X}")}


def test_a_warning_is_a_success_that_is_remembered(rig):
    rig.job()

    def warn(asked: Asked) -> Reply:
        uid = str(instance_of(asked).SOPInstanceUID)
        return Reply(202, answer("00081199", uid, "00081196", 0xB000))

    with WebPeer(warn) as vna:
        go(rig, stow_lane(rig, vna.url))

    assert {(row.state.value, row.error_code) for row in rig.rows()} == {("sent", "0xB000")}


def test_an_answer_that_never_came_is_no_success(rig):
    rig.job()
    with WebPeer(lambda _: Reply(drops=True)) as vna:
        go(rig, stow_lane(rig, vna.url))

    (seg,) = [row for row in rig.rows() if row.kind is ResultKind.SEG]
    assert rig.states() == {"SEG": "waiting", "SR": "waiting"}
    assert (seg.error_code, rig.column(seg.id, "may_be_there")) == ("NO_ANSWER", True)


def test_a_server_that_is_away_is_unreachable(rig):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rig.job()

    go(rig, stow_lane(rig, f"http://127.0.0.1:{port}"))

    assert {row.state.value for row in rig.rows()} == {"waiting"}
    assert "UNREACHABLE" in {row.error_code for row in rig.rows()}


def test_a_server_that_says_when_to_come_back_is_heeded(rig):
    rig.job()
    with WebPeer(lambda _: Reply(429, headers={"Retry-After": "120"})) as vna:
        go(rig, stow_lane(rig, vna.url))

    assert {(row.next_attempt_at - rig.clock()).total_seconds() for row in rig.rows()} == {120}


def test_a_webhook_is_told_the_findings_and_can_check_who_says_so(rig):
    job = rig.job(kinds=ALL_KINDS)
    with WebPeer() as cds:
        go(rig, hook_lane(rig, cds.url + "/hook"))

    (asked,) = cds.asked
    message = json.loads(asked.body)
    assert (message["event"], message["job_id"], message["state"]) == ("result", job, "succeeded")
    assert message["findings"] == {"of": "one"}
    assert "Research use only" in message["intended_use"]
    assert is_genuine(asked, b"abracadabra", rig.clock().timestamp())
    assert not is_genuine(asked, b"another", rig.clock().timestamp())
    assert not is_genuine(asked, b"abracadabra", rig.clock().timestamp() + 301)


def is_genuine(asked: Asked, secret: bytes, now: float) -> bool:
    """As docs/delivery.md tells receivers to check it."""
    parts = dict(part.split("=", 1) for part in asked.headers["Willis-Signature"].split(","))
    signed = parts["t"].encode() + b"." + asked.body
    expected = hmac.new(secret, signed, hashlib.sha256).hexdigest()
    is_fresh = abs(now - int(parts["t"])) <= 300
    return is_fresh and hmac.compare_digest(expected, parts["v1"])


def test_a_webhook_of_events_gets_no_findings(rig):
    rig.job(kinds=ALL_KINDS)
    with WebPeer() as cds:
        go(rig, hook_lane(rig, cds.url, WebhookBody.EVENT))

    assert "findings" not in json.loads(cds.asked[0].body)


def test_every_attempt_carries_the_same_delivery_id(rig):
    rig.job(kinds=ALL_KINDS)
    replies = iter([Reply(503), Reply(200)])
    with WebPeer(lambda _: next(replies)) as cds:
        lane = hook_lane(rig, cds.url)
        go(rig, lane)
        rig.clock.advance(301)
        go(rig, lane)

    assert len({asked.headers["Willis-Delivery"] for asked in cds.asked}) == 1
    assert len({asked.headers["Willis-Signature"] for asked in cds.asked}) == 2
    assert rig.states() == {"FINDINGS": "sent"}


def test_a_webhook_that_was_told_a_result_is_told_its_retraction(rig):
    job = rig.job(kinds=ALL_KINDS)
    with WebPeer() as cds:
        lane = hook_lane(rig, cds.url)
        go(rig, lane)
        rig.desk.retract(job, "The wrong side was scored.")
        go(rig, lane)

    assert [asked.headers["Willis-Event"] for asked in cds.asked] == ["result", "retraction"]
    last = json.loads(cds.asked[-1].body)
    assert last["retracted_at"] is not None and "findings" not in last
    assert rig.states() == {"FINDINGS": "retracted", "RETRACTION": "sent"}


def folder_lane(rig: Rig, path: Path):  # type: ignore[no-untyped-def]
    rig.destinations = [ResultDestination("share", FolderTarget(path))]
    return rig.lane(rig.destinations[0], FolderCarrier(path))


def test_a_folder_gets_every_file_and_never_half_of_one(rig, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    job = rig.job(kinds=ALL_KINDS)

    go(rig, folder_lane(rig, share))

    found = {path.name for path in (share / job).iterdir()}
    assert found == {"findings.json", "seg.dcm", "sr.dcm"}
    seg = rig.shelf.path(job, ResultKind.SEG).read_bytes()
    assert (share / job / "seg.dcm").read_bytes() == seg


def test_a_share_that_is_not_mounted_is_waited_for(rig, tmp_path):
    share = tmp_path / "share"
    rig.job(kinds=ALL_KINDS)
    lane = folder_lane(rig, share)

    go(rig, lane)
    assert {row.state.value for row in rig.rows()} == {"waiting"}
    assert not share.exists()
    share.mkdir()
    rig.clock.advance(301)
    go(rig, lane)

    assert {row.state.value for row in rig.rows()} == {"sent"}


def test_a_share_that_is_full_is_waited_for_and_keeps_no_leftovers(rig, tmp_path, monkeypatch):
    share = tmp_path / "share"
    share.mkdir()
    job = rig.job(kinds=ALL_KINDS)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    lane = folder_lane(rig, share)
    go(rig, lane)

    assert "FOLDER_ERROR" in {row.error_code for row in rig.rows()}
    assert not list((share / job).iterdir()) if (share / job).exists() else True


def test_a_folder_keeps_the_word_of_a_retraction(rig, tmp_path):
    share = tmp_path / "share"
    share.mkdir()
    job = rig.job(kinds=ALL_KINDS)
    lane = folder_lane(rig, share)
    go(rig, lane)

    rig.desk.retract(job, "The wrong side was scored.")
    go(rig, lane)

    notice = json.loads((share / job / "retracted.json").read_text())
    assert notice["reason"] == "The wrong side was scored."
    assert (share / job / "retraction.dcm").exists()


def test_no_secret_is_in_a_log(rig, capsys):
    rig.job(kinds=ALL_KINDS)
    with WebPeer(lambda _: Reply(500)) as vna:
        go(rig, stow_lane(rig, vna.url, Basic("willis", Secret("sesame"))))
    with WebPeer(lambda _: Reply(400)) as cds:
        go(rig, hook_lane(rig, cds.url))

    logged = capsys.readouterr().out
    assert "sesame" not in logged and "abracadabra" not in logged
