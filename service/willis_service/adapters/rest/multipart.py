"""Multipart bodies, streamed: files go to disk under our own names, fields stay small.

Starlette's parser keeps small files in memory and every large one open; a CT perfusion study is
thousands of them. Names that the client sends never become paths.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from willis_models.errors import BadUpload, UploadTooLarge
from willis_service.adapters.rest.config import UploadLimits
from willis_service.application.image_roles import KNOWN_ROLES, lies_on_native_grid, role_named

FIELD_BYTES = 4096
FIELDS = 16
_SUFFIXES = (".nii.gz", ".nii", ".json", ".zip")
_NAMED = (".nii.gz", ".nii", ".json")


@dataclass
class Form:
    """The small fields of a form, and where its files were written."""

    fields: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)


@dataclass
class _Part:
    """The part being read: bytes go to ``stream`` for a file, to ``text`` for a field."""

    name: str = ""
    stream: BinaryIO | None = None
    text: bytearray = field(default_factory=bytearray)


class FormSink:
    """Takes the events of the multipart parser and writes what they bring."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self.form = Form()
        self._folder = folder
        self._limits = limits
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._part = _Part()
        self._ended = False

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser that reports to this sink."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def close(self) -> None:
        """Close the file of a part that was cut off."""
        if self._part.stream is not None:
            self._part.stream.close()

    def finished(self) -> Form:
        """The form. Raises BadUpload where the body ended before its last boundary."""
        if not self._ended:
            raise BadUpload("The multipart body ends before its closing boundary. Send it again.")
        return self.form

    def _begin(self) -> None:
        self._part = _Part()
        self._disposition = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        name, value = bytes(self._header[0]).lower(), bytes(self._header[1])
        if name == b"content-disposition":
            self._disposition = value
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise BadUpload("A part of the multipart body has no name.")
        self._part.name = options[b"name"].decode("utf-8", "replace")
        if b"filename" in options:
            self._part.stream = self._open(options[b"filename"])

    def _open(self, client_name: bytes) -> BinaryIO:
        if len(self.form.files) >= self._limits.files:
            raise UploadTooLarge(f"More than {self._limits.files} files in one request.")
        path = self._folder / f"{len(self.form.files):06d}{known_suffix(client_name)}"
        self.form.files.append(path)
        return path.open("xb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.stream is not None:
            self._part.stream.write(memoryview(data)[start:end])
            return
        self._part.text.extend(data[start:end])
        if len(self._part.text) > FIELD_BYTES or len(self.form.fields) >= FIELDS:
            raise BadUpload("A form field is too long, or there are too many of them.")

    def _end_part(self) -> None:
        if self._part.stream is not None:
            self._part.stream.close()
            return
        self.form.fields[self._part.name] = self._part.text.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


def known_suffix(client_name: bytes) -> str:
    """The end of the name that says how to open the file; everything else is read as DICOM.

    Of the name of a NIfTI file, words of our own are kept that say what it shows.
    """
    name = client_name.decode("utf-8", "replace").lower()
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), ".dcm")
    role = role_named(name.rpartition("/")[2], KNOWN_ROLES) if suffix in _NAMED else None
    if role is None:
        return suffix
    space = "_space-native" if lies_on_native_grid(name) else ""
    return f"{space}_{role}{suffix}"


async def read_multipart(
    content_type: str, chunks: AsyncIterator[bytes], folder: Path, limits: UploadLimits
) -> Form:
    """Read a multipart body into ``folder``. Raises BadUpload or UploadTooLarge."""
    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise BadUpload("The multipart body names no boundary.")
    sink = FormSink(folder, limits)
    parser = sink.parser(options[b"boundary"])
    try:
        async for chunk in bounded(chunks, limits.body_bytes):
            parser.write(chunk)
        return sink.finished()
    except MultipartParseError as error:
        raise BadUpload(f"The multipart body is damaged: {error}.") from error
    finally:
        sink.close()


async def bounded(chunks: AsyncIterator[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
    """The same chunks, until they exceed the limit. Raises UploadTooLarge."""
    total = 0
    async for chunk in chunks:
        total += len(chunk)
        if total > limit_bytes:
            raise UploadTooLarge(f"The request is larger than {limit_bytes} bytes.")
        yield chunk
