"""DICOM over TLS: dcmtk and pynetdicom as clients, with and without certificates."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom.sop_class import CTImageStorage, Verification

from tests.certificates import Identity, make_ca, make_identity, needs_openssl
from tests.receiving import SENDER, associated, listening, stored, until_alone
from tests.synthetic_ct import write_ct_series
from tests.toy_core import Toy, toy_core
from willis_service.adapters.dicom.associate import rejection_of
from willis_service.adapters.dicom.receiver import RunningReceiver
from willis_service.adapters.dicom.tls import TlsError, TlsFiles, client_context, server_context
from willis_service.bootstrap.receiving import doors_of, receiver_of
from willis_service.settings import SettingsError, load_settings

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def ca(folder: Path) -> Identity:
    return make_ca(folder, "hospital-ca")


@pytest.fixture(scope="module")
def server(folder: Path, ca: Identity) -> Identity:
    return make_identity(folder, "willis", ca)


@pytest.fixture(scope="module")
def scanner(folder: Path, ca: Identity) -> Identity:
    return make_identity(folder, "scanner", ca)


@pytest.fixture(scope="module")
def stranger(folder: Path) -> Identity:
    return make_identity(folder, "stranger", make_ca(folder, "other-ca"))


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return toy_core(tmp_path, allowed_ae_titles=SENDER, acse_timeout_s=5)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_ct_series(tmp_path / "ct", shape=(3, 512, 512))


@contextmanager
def listening_securely(
    toy: Toy, server: Identity, ca: Identity | None
) -> Iterator[RunningReceiver]:
    given = toy.core.settings.model_copy(
        update={
            "dicom_port": 0,
            "dicom_tls_port": free_port(),
            "tls_certificate": server.certificate,
            "tls_key": server.key,
            "tls_ca": None if ca is None else ca.certificate,
        }
    )
    (door,) = doors_of(given)
    with listening(receiver_of(toy.core), door) as running:
        yield running


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def client(ca: Identity, own: Identity | None = None) -> ssl.SSLContext:
    files = TlsFiles(ca=ca.certificate)
    if own is not None:
        files = TlsFiles(own.certificate, own.key, ca.certificate)
    return client_context(files)


def dcmtk(tool: str, running: RunningReceiver, *options: object) -> int:
    command = [tool, "-aet", SENDER, "-aec", "WILLIS", *options[:-1], "127.0.0.1", running.port]
    last = options[-1] if isinstance(options[-1], list) else [options[-1]]
    full = [str(part) for part in (*command, *last)]
    return subprocess.run(full, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")
def test_dcmtk_sends_over_tls_with_a_certificate_of_its_own(toy, files, server, scanner, ca):
    secure = ("+tls", scanner.key, scanner.certificate, "+cf", ca.certificate)

    with listening_securely(toy, server, ca) as running:
        echo = dcmtk("echoscu", running, *secure, [])
        sent = dcmtk("storescu", running, *secure, files)

    assert (echo, sent) == (0, 0)
    assert len(stored(toy, files)) == 3


@pytest.mark.skipif(shutil.which("echoscu") is None, reason="dcmtk is not installed")
def test_dcmtk_without_a_certificate_is_refused_where_one_is_asked_for(toy, server, ca):
    with listening_securely(toy, server, ca) as running:
        assert dcmtk("echoscu", running, "+tla", "+cf", ca.certificate, []) != 0
        until_alone(running)


@pytest.mark.skipif(shutil.which("echoscu") is None, reason="dcmtk is not installed")
def test_a_client_that_speaks_no_tls_gets_nothing(toy, server, ca):
    with listening_securely(toy, server, ca) as running:
        assert dcmtk("echoscu", running, "-to", "5", []) != 0
        until_alone(running)


def test_pynetdicom_sends_over_tls(toy, files, server, scanner, ca):
    with listening_securely(toy, server, ca) as running:
        tls = (client(ca, scanner), "127.0.0.1")
        with associated(running, CTImageStorage, tls_args=tls) as association:
            assert [association.send_c_store(file).Status for file in files] == [0, 0, 0]
    assert len(stored(toy, files)) == 3


@pytest.mark.parametrize("who", ["nobody", "stranger"])
def test_a_client_without_a_certificate_of_the_ca_is_refused(toy, server, stranger, ca, who):
    own = stranger if who == "stranger" else None
    with listening_securely(toy, server, ca) as running:
        with (
            socket.create_connection(("127.0.0.1", running.port), timeout=10) as plain,
            pytest.raises(OSError),
            client(ca, own).wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            # In TLS 1.3 the client hears of it with the first answer only.
            secure.sendall(b"\1\0\0\0\0\4abcd")
            if not secure.recv(1):
                raise ConnectionResetError
        until_alone(running)


def test_without_a_ca_any_client_may_come_and_still_needs_a_listed_title(toy, server, ca):
    with listening_securely(toy, server, None) as running:
        tls = (client(ca), "127.0.0.1")
        with associated(running, Verification, tls_args=tls) as association:
            assert association.send_c_echo().Status == 0
        with associated(running, Verification, tls_args=tls, sender="STRANGER") as association:
            assert rejection_of(association) is not None


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize(
    ("version", "is_taken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_nothing_older_than_tls_1_2_is_spoken(toy, server, scanner, ca, version, is_taken):
    context = client(ca, scanner)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else our own end would not offer the old one

    with listening_securely(toy, server, ca) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as plain:
            if is_taken:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                    assert secure.version() == version.name.replace("_", ".")
            else:
                with pytest.raises(ssl.SSLError):
                    context.wrap_socket(plain, server_hostname="127.0.0.1")
        until_alone(running)


def test_plain_and_secure_ports_are_open_side_by_side(toy, server, ca):
    given = toy.core.settings.model_copy(
        update={
            "dicom_port": free_port(),
            "dicom_tls_port": free_port(),
            "tls_certificate": server.certificate,
            "tls_key": server.key,
        }
    )
    running = receiver_of(toy.core).start(*doors_of(given))
    try:
        assert list(running.ports) == [given.dicom_port, given.dicom_tls_port]
    finally:
        running.stop(1)


def test_certificates_that_do_not_work_are_named(server, stranger, tmp_path):
    with pytest.raises(TlsError, match="WILLIS_TLS_CERTIFICATE"):
        server_context(TlsFiles(), verify_clients=False)
    with pytest.raises(TlsError, match="WILLIS_TLS_CA"):
        server_context(TlsFiles(server.certificate, server.key), verify_clients=True)
    with pytest.raises(TlsError, match=r"none\.pem"):
        server_context(TlsFiles(tmp_path / "none.pem"), verify_clients=False)
    with pytest.raises(TlsError, match=r"willis\.pem"):
        server_context(TlsFiles(server.certificate, stranger.key), verify_clients=False)


def test_a_key_with_a_pass_phrase_is_an_error_and_no_question(server, tmp_path):
    locked = tmp_path / "locked.key"
    command = ["openssl", "rsa", "-aes256", "-passout", "pass:secret", "-in", server.key]
    subprocess.run([*map(str, command), "-out", str(locked)], check=True, capture_output=True)

    with pytest.raises(TlsError):
        server_context(TlsFiles(server.certificate, locked), verify_clients=False)


def test_a_receiver_without_any_port_is_a_mistake_in_the_settings():
    with pytest.raises(SettingsError, match="DICOM_PORT"):
        load_settings({}, dicom_port=0)
    with pytest.raises(SettingsError, match="TLS_CERTIFICATE"):
        load_settings({}, dicom_tls_port=2762)
