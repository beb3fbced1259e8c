"""``willis send`` to a real storage provider on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE, AllStoragePresentationContexts, evt

from tests.synthetic_ct import write_ct_series
from willis_models.errors import BadUpload
from willis_service.cli import run
from willis_service.commands.send import dicom_series, files_of


@pytest.fixture
def archive() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A port, and the calling AE title and SOP Instance UID of each object that came in."""
    received: list[tuple[str, str]] = []

    def store(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        received.append((event.assoc.requestor.ae_title, uid))
        return 0x0000

    entity = AE(ae_title="ARCHIVE")
    entity.supported_contexts = AllStoragePresentationContexts
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()


def test_every_object_arrives_under_the_title_asked_for(archive, tmp_path, capsys):
    port, received = archive
    write_ct_series(tmp_path / "study", shape=(4, 16, 16))
    (tmp_path / "study" / "letter.txt").write_text("no DICOM")

    code = run(["send", str(tmp_path), "--to", f"ARCHIVE@127.0.0.1:{port}", "--from", "ME"])

    assert code == 0
    assert {title for title, _ in received} == {"ME"}
    assert len({uid for _, uid in received}) == 4
    assert "4 objects sent" in capsys.readouterr().out


def test_a_receiver_that_is_away_is_a_failure_that_says_what_to_check(tmp_path, capsys):
    write_ct_series(tmp_path, shape=(3, 16, 16))

    code = run(["send", str(tmp_path), "--to", "ARCHIVE@127.0.0.1:1"])

    assert code == 1
    assert "check host, port and firewall" in capsys.readouterr().err


def test_what_is_no_dicom_object_is_left_out(tmp_path):
    written = write_ct_series(tmp_path / "study", shape=(3, 16, 16))
    (tmp_path / "study" / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")

    assert set(files_of(dicom_series(tmp_path))) == set(written)


def test_a_folder_without_dicom_says_so(tmp_path: Path):
    (tmp_path / "letter.txt").write_text("no DICOM")

    with pytest.raises(BadUpload, match="no DICOM objects"):
        dicom_series(tmp_path)
