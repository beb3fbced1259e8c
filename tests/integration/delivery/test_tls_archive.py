"""C-STORE over TLS: encrypted, to the archive that the certificate names, with our own if asked."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.archives import Archive, free_port, wait_until
from tests.delivery_rig import Rig, archive_destination, run_until_idle
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.carrier import DicomCarrier
from willis_service.adapters.dicom.tls import TlsFiles, client_context
from willis_service.domain.peers import Destination

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
DAYS = "30"


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


def make_certificate(folder: Path, name: str, address: str = "127.0.0.1") -> TlsFiles:
    """A certificate that is its own CA."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}")
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", DAYS)
    openssl(*new, "-keyout", key, "-out", certificate, *subject)
    return TlsFiles(certificate, key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    folder = tmp_path_factory.mktemp("certificates")
    return {
        "archive": make_certificate(folder, "archive"),
        "elsewhere": make_certificate(folder, "elsewhere", "10.9.9.9"),
        "willis": make_certificate(folder, "willis"),
    }


def server_side(files: TlsFiles, clients: TlsFiles | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert files.certificate is not None
    context.load_cert_chain(files.certificate, files.key)
    if clients is not None and clients.certificate is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.certificate)
    return context


def send(rig: Rig, peer: Destination, context: ssl.SSLContext | None) -> set[str]:
    rig.destinations = [archive_destination(peer)]
    rig.job()
    rig.plan()
    carry = DicomCarrier(peer, Requestor("WILLIS", Timeouts(5, 5, 5), context))
    run_until_idle(rig.lane(rig.destinations[0], carry))
    return {row.state.value for row in rig.rows()}


def test_both_sides_show_a_certificate_and_the_objects_arrive(rig, certificates):
    ours = replace(certificates["willis"], ca=certificates["archive"].certificate)
    tls = server_side(certificates["archive"], certificates["willis"])

    with Archive(tls=tls) as archive:
        states = send(rig, archive.address, client_context(ours))

    assert states == {"sent"}
    assert len(archive.confirmed) == 2


@pytest.mark.parametrize(
    ("shown", "trusted", "verify_host", "states"),
    [
        ("archive", "archive", True, {"sent"}),
        ("archive", "willis", True, {"waiting"}),  # another CA
        ("elsewhere", "elsewhere", True, {"waiting"}),  # another host
        ("elsewhere", "elsewhere", False, {"sent"}),
    ],
)
def test_nothing_is_sent_to_an_archive_that_is_not_the_one(
    rig, certificates, shown, trusted, verify_host, states
):
    context = client_context(TlsFiles(ca=certificates[trusted].certificate), verify_host)

    with Archive(tls=server_side(certificates[shown])) as archive:
        assert send(rig, archive.address, context) == states

    assert bool(archive.offered) == (states == {"sent"})


def test_an_archive_that_wants_our_certificate_gets_nothing_without_one(rig, certificates):
    tls = server_side(certificates["archive"], certificates["willis"])
    context = client_context(TlsFiles(ca=certificates["archive"].certificate))

    with Archive(tls=tls) as archive:
        assert send(rig, archive.address, context) == {"waiting"}

    assert archive.offered == []


@pytest.mark.skipif(shutil.which("storescp") is None, reason="dcmtk is not installed")
def test_dcmtk_receives_over_tls(rig, certificates, tmp_path):
    port, received = free_port(), tmp_path / "received"
    received.mkdir()
    files = certificates["archive"]
    command = ["storescp", "+tls", str(files.key), str(files.certificate), "--ignore-peer-cert"]
    command += ["+xa", "-aet", "ARCHIVE", "-od", str(received), str(port)]
    log = tmp_path / "storescp.log"
    with log.open("w") as said, subprocess.Popen(command, stdout=said, stderr=said) as scp:
        wait_until(lambda: _listens(port) or scp.poll() is not None, seconds=60)
        assert scp.poll() is None, log.read_text()
        context = client_context(TlsFiles(ca=files.certificate))
        states = send(rig, Destination("ARCHIVE", "127.0.0.1", port), context)
        scp.terminate()

    assert states == {"sent"}
    assert len(list(received.iterdir())) == 2


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
