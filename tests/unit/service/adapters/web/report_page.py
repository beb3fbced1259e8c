"""A report's page as a reader sees it, and the head that it is made of."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np

from tests.synthetic_ct import head_hu
from willis_models.pipelines.base import InputImage
from willis_models.volume import SliceStack
from willis_service.domain.study_facts import StudyFacts

FACTS = StudyFacts(patient_name="Doe, Jane <b>", patient_id="4711", accession_number="A-1")


class PageText(HTMLParser):
    """The page's visible words, and every tag with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden = tag in ("style", "title")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def head_image(row_sign: int = 1) -> InputImage:
    """The synthetic head with its rows stored from right to left, or the other way round."""
    shape, pixel = (16, 96, 96), 2.2
    origins = np.array([-row_sign * 47.5 * pixel, -47.5 * pixel, 0]) + np.arange(16)[
        :, None
    ] * np.array([0, 0, 6.0 * row_sign])
    origins[:, 2] -= row_sign * 45.0
    row, column = np.array([row_sign * pixel, 0, 0]), np.array([0, pixel, 0])
    blank = SliceStack(np.zeros(shape, np.float32), origins, row, column)
    z, y, x = np.mgrid[tuple(slice(0, n) for n in shape)]
    hu = head_hu(blank.to_world(np.stack([z, y, x], axis=-1).astype(float)))
    return InputImage(blank.with_voxels(hu.astype(np.float32)))
