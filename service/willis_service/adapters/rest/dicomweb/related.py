"""``multipart/related`` bodies: read to disk part by part, and written without being held."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

from willis_models.errors import BadUpload, UploadTooLarge
from willis_service.adapters.rest.config import UploadLimits
from willis_service.adapters.rest.dicomweb.accept import DICOM, RELATED
from willis_service.adapters.rest.multipart import bounded

_CHUNK_BYTES = 256 * 1024
_HEADER_BYTES = 16 * 1024


@dataclass(frozen=True)
class ReceivedPart:
    """A part of a body, on disk; ``path`` is None where it was longer than an object may be."""

    path: Path | None
    media_type: str


class _PartSink:
    """Takes the events of the parser: bytes go to a file of our own naming."""

    def __init__(self, folder: Path, part_limit: int, object_bytes: int) -> None:
        self.finished: list[ReceivedPart] = []
        self.is_ended = False
        self._folder, self._part_limit, self._object_bytes = folder, part_limit, object_bytes
        self._count = 0
        self._written = 0
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._header_bytes = 0
        self._media_type = ""
        self._path = folder
        self._stream: BinaryIO | None = None

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def close(self) -> None:
        """Close the file of a part that was cut off."""
        if self._stream is not None:
            self._stream.close()

    def take_finished(self) -> list[ReceivedPart]:
        """The parts that are whole since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def _begin(self) -> None:
        self._count += 1
        if self._count > self._part_limit:
            raise UploadTooLarge(f"More than {self._part_limit} objects in one request.")
        self._media_type, self._written, self._header_bytes = "", 0, 0
        self._path = self._folder / f"{self._count:06d}.dcm"
        self._stream = self._path.open("xb")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[1].extend(data[start:end])

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _HEADER_BYTES:
            raise BadUpload("The header of a part is too long.")

    def _header_end(self) -> None:
        name, value = bytes(self._header[0]).lower(), bytes(self._header[1])
        if name == b"content-type":
            self._media_type = parse_options_header(value)[0].decode("latin-1").lower()
        self._header = (bytearray(), bytearray())

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._written += end - start
        if self._stream is None or self._written > self._object_bytes:
            return  # too long: read to its end, so that the other parts can be taken
        self._stream.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        self.close()
        self._stream = None
        is_whole = self._written <= self._object_bytes
        if not is_whole:
            self._path.unlink()
        self.finished.append(ReceivedPart(self._path if is_whole else None, self._media_type))

    def _end(self) -> None:
        self.is_ended = True


async def read_related(
    content_type: str,
    chunks: AsyncIterator[bytes],
    folder: Path,
    limits: UploadLimits,
    object_bytes: int,
) -> AsyncIterator[ReceivedPart]:
    """The parts of a body, each one as soon as it is whole.

    Raises 415 for another type of body, BadUpload for a damaged one and UploadTooLarge.
    """
    kind, options = parse_options_header(content_type)
    inner = options.get(b"type", DICOM.encode()).decode("latin-1").lower()
    if kind.decode("latin-1").lower() != RELATED or inner != DICOM:
        detail = f'Send {RELATED}; type="{DICOM}".'
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    if not options.get(b"boundary"):
        raise BadUpload("The multipart body names no boundary.")
    sink = _PartSink(folder, limits.files, object_bytes)
    parser = sink.parser(options[b"boundary"])
    try:
        async for chunk in bounded(chunks, limits.body_bytes):
            parser.write(chunk)
            for part in sink.take_finished():
                yield part
        if not sink.is_ended:
            raise BadUpload("The multipart body ends before its closing boundary. Send it again.")
    except MultipartParseError as error:
        raise BadUpload(f"The multipart body is damaged: {error}.") from error
    finally:
        sink.close()


@dataclass(frozen=True)
class SentPart:
    """A part of an answer: its type, where it lies on the web, and its bytes."""

    media_type: str
    location: str
    content: Iterable[bytes]


def file_content(path: Path) -> Iterator[bytes]:
    """The bytes of a file, a piece at a time."""
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def new_boundary() -> str:
    """A boundary that no content holds."""
    return f"willis-{secrets.token_hex(16)}"


def written(parts: Iterable[SentPart], boundary: str) -> Iterator[bytes]:
    """A ``multipart/related`` body (RFC 2387), one piece after the other."""
    for part in parts:
        head = (
            f"--{boundary}\r\nContent-Type: {part.media_type}\r\n"
            f"Content-Location: {part.location}\r\n\r\n"
        )
        yield head.encode()
        yield from part.content
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()
