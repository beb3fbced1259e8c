from __future__ import annotations

from pathlib import Path

import pytest

from willis_service.adapters.delivery.destination_file import (
    DestinationsInvalid,
    read_destinations,
)
from willis_service.domain.destinations import (
    Basic,
    Bearer,
    DicomTarget,
    FolderTarget,
    SegType,
    StowTarget,
    WebhookBody,
    WebhookTarget,
)
from willis_service.domain.job import JobState, ResultKind

ENVIRONMENT = {"VNA_PASSWORD": "sesame", "HOOK_SECRET": "abracadabra", "VNA_TOKEN": "token"}
EVERY_KIND = """
[[destination]]
name = "pacs"
kind = "dicom"
address = "PACS@10.0.0.5:104"
calling_ae_title = "STROKE"
tls = true
tls_verify_host = false
commitment = true
seg = "labelmap"
timeout_s = 20

[destination.only]
pipelines = ["aspects"]
states = ["succeeded", "rejected"]
kinds = ["sr"]
urgent = true
senders = ["CT1"]

[[destination]]
name = "vna"
kind = "stow"
url = "https://vna.example/dicom-web"
user = "willis"
password_env = "VNA_PASSWORD"

[[destination]]
name = "decisions"
kind = "webhook"
url = "https://cds.example/hooks/willis"
secret_env = "HOOK_SECRET"
body = "event"

[[destination]]
name = "share"
kind = "folder"
path = "/srv/results"
"""


def dicom(lines: str) -> str:
    return f'[[destination]]\nname = "pacs"\nkind = "dicom"\n{lines}\n'


def test_every_kind_is_read_with_what_belongs_to_it():
    pacs, vna, hook, share = read_destinations(EVERY_KIND, ENVIRONMENT)

    assert isinstance(pacs.target, DicomTarget)
    assert (str(pacs.target.peer), pacs.target.calling_ae_title) == ("PACS@10.0.0.5:104", "STROKE")
    assert (pacs.target.tls, pacs.target.tls_verify_host, pacs.wants_commitment) == (
        True,
        False,
        True,
    )
    assert (pacs.seg, pacs.timeout_s) == (SegType.LABELMAP, 20)
    assert pacs.wanted.states == (JobState.SUCCEEDED, JobState.REJECTED)
    assert (pacs.wanted.kinds, pacs.wanted.urgent_only) == ((ResultKind.SR,), True)
    assert isinstance(vna.target, StowTarget) and isinstance(vna.target.auth, Basic)
    assert vna.target.auth.password.value == "sesame"
    assert isinstance(hook.target, WebhookTarget) and hook.target.body is WebhookBody.EVENT
    assert share.target == FolderTarget(Path("/srv/results"))
    assert vna.seg is SegType.BINARY


def test_a_token_is_taken_from_the_environment():
    text = '[[destination]]\nname="v"\nkind="stow"\nurl="https://v.example"\ntoken_env="VNA_TOKEN"'

    (vna,) = read_destinations(text, ENVIRONMENT)

    assert isinstance(vna.target, StowTarget) and isinstance(vna.target.auth, Bearer)


def test_secrets_show_themselves_to_nobody():
    shown = repr(read_destinations(EVERY_KIND, ENVIRONMENT))

    assert not any(secret in shown for secret in ENVIRONMENT.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[destination]", "not valid TOML"),
        ("[pacs]", "Begin each destination with [[destination]]"),
        ('[[destination]]\nname = "x"', 'write kind = "dicom"'),
        ('[[destination]]\nname = "x"\nkind = "fax"', 'write kind = "dicom"'),
        (dicom(""), "destination 1 (pacs): address is missing"),
        (dicom('address = "pacs"'), "write AET@host:port"),
        (dicom('address = "P@h:1"\nport = 104'), "port is unknown"),
        (dicom('address = "P@h:1"\nseg = "fractional"'), "seg"),
        (dicom('address = "P@h:1"\ntimeout_s = 0'), "timeout_s"),
        (dicom('address = "P@h:1"\nonly = {kinds = ["pdf"]}'), "write one of findings, seg, cbf"),
        (dicom('address = "P@h:1"\nonly = {kinds = ["report"]}'), "report can't go to a dicom"),
        ('[[destination]]\nname="v"\nkind="stow"\nurl="http://v.example"', "write https"),
        ('[[destination]]\nname="v"\nkind="stow"\nurl="https://u:p@v.example"', "no password"),
        (
            '[[destination]]\nname="v"\nkind="stow"\nurl="https://v.example"\nuser="u"',
            "user and password_env",
        ),
        (
            '[[destination]]\nname="h"\nkind="webhook"\nurl="https://h.example"\nsecret_env="NONE"',
            "NONE is empty or not set",
        ),
        (
            '[[destination]]\nname="h"\nkind="webhook"\nurl="https://h.example"\nsecret_env="WILLIS_X"',
            "does not begin with WILLIS_",
        ),
        ('[[destination]]\nname="f"\nkind="folder"\npath="results"', "absolute path"),
        (dicom('address = "P@h:1"') * 2, "Two destinations are named pacs"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_to_write(text, said):
    with pytest.raises(DestinationsInvalid) as caught:
        read_destinations(text, ENVIRONMENT)

    assert said in str(caught.value)


def test_every_mistake_is_told_at_once_and_no_value_is_repeated():
    text = (
        dicom('address = "sesame"') + '[[destination]]\nname = "b"\nkind = "folder"\nkey = "hush"'
    )

    with pytest.raises(DestinationsInvalid) as caught:
        read_destinations(text, ENVIRONMENT)

    assert "destination 1" in str(caught.value) and "destination 2" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_server_on_this_machine_may_be_reached_without_encryption():
    text = '[[destination]]\nname="v"\nkind="stow"\nurl="http://127.0.0.1:8042/dicom-web"'

    assert len(read_destinations(text, {})) == 1


def test_an_empty_file_is_no_destination():
    assert read_destinations("", {}) == ()
