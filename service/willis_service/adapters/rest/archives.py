"""Zip files, unpacked with a budget: no bombs, and no path comes from inside the archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from willis_models.errors import BadUpload, UploadTooLarge
from willis_service.adapters.rest.config import UploadLimits
from willis_service.adapters.rest.multipart import known_suffix

CHUNK_BYTES = 1 << 20
_ENCRYPTED = 0x1


@dataclass
class _Budget:
    """What may still be written: counted as it is unpacked, whatever the archive declares."""

    files: int
    bytes: int

    def take_file(self) -> None:
        self.files -= 1
        if self.files < 0:
            raise UploadTooLarge("The upload holds more files than this installation accepts.")

    def take_bytes(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise UploadTooLarge("The archive is larger, unpacked, than this installation accepts.")


def unpack_archives(files: Iterable[Path], folder: Path, limits: UploadLimits) -> list[Path]:
    """The files themselves, with each zip replaced by what it holds.

    Raises BadUpload for a damaged or encrypted archive, UploadTooLarge above the limits.
    """
    budget = _Budget(limits.files, limits.unpacked_bytes)
    unpacked: list[Path] = []
    for path in files:
        if zipfile.is_zipfile(path):
            unpacked.extend(_unpack(path, folder, budget))
            path.unlink()
        else:
            budget.take_file()
            unpacked.append(path)
    return unpacked


def _unpack(archive_path: Path, folder: Path, budget: _Budget) -> Iterator[Path]:
    try:
        with zipfile.ZipFile(archive_path) as archive:
            for number, member in enumerate(_members(archive)):
                budget.take_file()
                suffix = known_suffix(member.filename.encode())
                target = folder / f"{archive_path.stem}_{number:06d}{suffix}"
                _copy(archive, member, target, budget)
                yield target
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BadUpload("The zip file is damaged or uses an unknown compression.") from error


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if any(member.flag_bits & _ENCRYPTED for member in members):
        raise BadUpload("The zip file is encrypted. Send it without a password.")
    return members


def _copy(archive: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, budget: _Budget) -> None:
    with archive.open(member) as source, to.open("xb") as target:
        while chunk := source.read(CHUNK_BYTES):
            budget.take_bytes(len(chunk))
            target.write(chunk)
