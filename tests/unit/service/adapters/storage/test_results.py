from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from willis_models.errors import NotReady
from willis_service.adapters.storage.results import ResultFolders
from willis_service.domain.job import Edition, ResultKind


@dataclass
class Shelf:
    """Folders, and a database that is a dictionary."""

    root: Path
    live: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folders = ResultFolders(self.root, self.live.get)

    def publish(self, name: str, content: str) -> None:
        edition = Edition("job", name)
        with self.folders.stage(edition) as folder:
            (folder / ResultKind.SEG).write_text(content)
            self.folders.publish(edition, folder)

    def text(self) -> str:
        return self.folders.path("job", ResultKind.SEG).read_text()


def test_results_are_there_in_full_or_not_at_all(tmp_path):
    shelf = Shelf(tmp_path)

    with pytest.raises(RuntimeError), shelf.folders.stage(Edition("job", "1")) as folder:
        (folder / ResultKind.SEG).write_text("half")
        raise RuntimeError("the writer died")

    assert list(tmp_path.iterdir()) == []


def test_the_database_says_which_edition_counts(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.publish("1", "first")
    shelf.publish("2", "second")
    shelf.live["job"] = "1"
    before = shelf.text()

    shelf.live["job"] = "2"

    assert (before, shelf.text()) == ("first", "second")


def test_before_the_database_knows_of_it_nothing_is_published(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.publish("1", "first")

    with pytest.raises(NotReady):
        shelf.text()


def test_an_edition_that_does_not_count_is_removed_alone(tmp_path):
    shelf = Shelf(tmp_path)
    shelf.publish("1", "stale")
    shelf.publish("2", "live")
    shelf.live["job"] = "2"

    shelf.folders.discard(Edition("job", "1"))

    assert [path.name for path in (tmp_path / "job").iterdir()] == ["2"]
    assert shelf.text() == "live"
