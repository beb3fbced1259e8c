from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from willis_models.errors import BadUpload
from willis_service.adapters.rest.config import UploadLimits
from willis_service.adapters.rest.multipart import Form, known_suffix, read_multipart

TYPE = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x.dcm"\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="pipeline"\r\n\r\naspects\r\n'
END = b"\r\n--b--\r\n"


def read(folder: Path, *chunks: bytes, content_type: str = TYPE) -> Form:
    async def body() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return asyncio.run(read_multipart(content_type, body(), folder, UploadLimits()))


def test_a_large_file_passes_through_without_being_held_in_memory(tmp_path):
    chunk = b"x" * 65_536
    tracemalloc.start()

    form = read(tmp_path, FILE, *([chunk] * 512), END)

    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert form.files[0].stat().st_size == 512 * 65_536
    assert peak_bytes < 1_000_000


def test_many_small_files_leave_no_file_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))

    form = read(tmp_path, *([FILE + b"x\r\n"] * 300), FIELD, b"--b--\r\n")

    assert len(form.files) == 300
    assert form.fields == {"pipeline": "aspects"}
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


def test_the_body_may_be_cut_anywhere(tmp_path):
    body = FIELD + FILE + b"\r\n--b-not-the-end" + END

    form = read(tmp_path, *(body[i : i + 1] for i in range(len(body))))

    assert form.files[0].read_bytes() == b"\r\n--b-not-the-end"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", FILE + END),
        (TYPE, FILE + b"half"),
        (TYPE, b"--other\r\n"),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n\r\nx" + END),
        (TYPE, b""),
    ],
)
def test_a_damaged_body_is_a_bad_upload_and_leaves_no_file_open(tmp_path, content_type, body):
    with pytest.raises(BadUpload):
        read(tmp_path, body, content_type=content_type)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        (b"scan.NII.GZ", ".nii.gz"),
        (b"scan.nii", ".nii"),
        (b"a.zip", ".zip"),
        (b"IM0001", ".dcm"),
        (b"../../etc/passwd", ".dcm"),
        (b"sub-01_ses-01_space-ncct_cbf.nii.gz", "_space-native_cbf.nii.gz"),
        (b"head_NCCT.nii", "_ncct.nii"),
        (b"../ctp/scan.json", ".json"),
        (b"tmax.dcm", ".dcm"),
        (b"\xff\xfe.exe", ".dcm"),
    ],
)
def test_only_known_suffixes_of_the_clients_names_are_kept(name, suffix):
    assert known_suffix(name) == suffix
