"""Headers kept in memory while a study arrives, so that each file is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from willis_service.adapters.dicom import headers
from willis_service.adapters.dicom.files import read_header


@dataclass
class HeaderCache:
    """The headers read last, at most ``limit`` images of them (about 40 kB each).

    A received file never changes under its name, so what was read stays true. Not for several
    threads at once.
    """

    limit: int = 4000
    _kept: OrderedDict[Path, Dataset | None] = field(default_factory=OrderedDict, init=False)
    _images: int = field(default=0, init=False)

    def read(self, path: Path) -> Dataset | None:
        """The header without pixels, or None where the file is no DICOM file."""
        if path in self._kept:
            self._kept.move_to_end(path)
            return self._kept[path]
        header = read_header(path)
        self._kept[path] = header
        self._images += _images_in(header)
        while self._images > self.limit and self._kept:
            self._images -= _images_in(self._kept.popitem(last=False)[1])
        return header

    def forget(self, paths: Iterable[Path]) -> None:
        """Let go of these headers."""
        for path in paths:
            if path in self._kept:
                self._images -= _images_in(self._kept.pop(path))


def _images_in(header: Dataset | None) -> int:
    return 1 if header is None else max(1, headers.frame_count(header))
