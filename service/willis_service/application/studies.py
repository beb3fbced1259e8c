"""Studies for readers: headers indexed as they come, searches, and what lies where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import structlog

from willis_models.errors import DecodingError, UnknownObject, UnknownStudy, WillisError
from willis_service.application.ports import Clock, InstanceArchive, ResultShelf
from willis_service.application.ports.studies import (
    HeaderIndex,
    HeaderReader,
    Holdings,
    StudyRecords,
)
from willis_service.domain.holdings import (
    SERIES_ATTRIBUTES,
    STUDY_ATTRIBUTES,
    Attributes,
    FoundSeries,
    FoundStudy,
    HeldObject,
    ResultHeader,
    Search,
    SeriesHeader,
    StudyHeader,
    UndescribedResults,
    UndescribedStudy,
)
from willis_service.domain.job import ResultKind
from willis_service.domain.study import StudyOutcome
from willis_service.domain.study_overview import StudyDetails, StudyOverview

_LOG = structlog.get_logger(__name__)
_EVERYTHING = 2**31 - 1


class StudyOutcomes(Protocol):
    """What routing decided about a study."""

    def __call__(self, study_instance_uid: str) -> StudyOutcome | None:
        """The decision, or None before there is one."""
        ...


@dataclass(frozen=True)
class DescribeHoldings:
    """Reads one header of each new series and result into the index that searches use.

    The clockwork calls it with ``settle_s``, so that a study on its way in is not read again and
    again; a search calls it without, so that it misses nothing.
    """

    index: HeaderIndex
    read: HeaderReader
    archive: InstanceArchive
    shelf: ResultShelf
    clock: Clock
    batch: int = 50

    def __call__(self, settle_s: float = 0) -> int:
        """Index what came since; how many studies and jobs."""
        before = self.clock() - timedelta(seconds=settle_s)
        studies = self.index.undescribed_studies(self.batch, before)
        for study in studies:
            self._describe_study(study)
        results = self.index.undescribed_results(self.batch)
        for ended in results:
            self._describe_results(ended)
        return len(studies) + len(results)

    def _describe_study(self, study: UndescribedStudy) -> None:
        read = {
            series: self._attributes(self.archive.path_of(path))
            for series, path in study.new_series.items()
        }
        first = next(iter(read.values()), {})
        uid = study.study_instance_uid
        self.index.put_study(
            StudyHeader(uid, study.changed_at, _only(first, STUDY_ATTRIBUTES)),
            [SeriesHeader(uid, s, _only(a, SERIES_ATTRIBUTES)) for s, a in read.items()],
        )

    def _describe_results(self, ended: UndescribedResults) -> None:
        try:
            headers = [self._result_header(ended, kind) for kind in ended.kinds]
        except (WillisError, OSError) as error:
            # Replaced between the look and the read; the next round looks again.
            _LOG.warning("result_not_described", job_id=ended.job_id, error=type(error).__name__)
            return
        self.index.put_results(headers)

    def _result_header(self, ended: UndescribedResults, kind: ResultKind) -> ResultHeader:
        path = self.shelf.path(ended.job_id, kind)
        header, size_bytes = self.read(path), path.stat().st_size
        held = HeldObject(
            study_instance_uid=header.study_instance_uid,
            series_instance_uid=header.series_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=header.transfer_syntax_uid,
            size_bytes=size_bytes,
            job_id=ended.job_id,
            kind=kind,
        )
        return ResultHeader(held, ended.edition, _only(header.attributes, SERIES_ATTRIBUTES))

    def _attributes(self, path: Path) -> Attributes:
        try:
            return self.read(path).attributes
        except (DecodingError, OSError) as error:
            # It stays findable by its UIDs, which the receiver read.
            _LOG.warning("header_not_described", error=type(error).__name__)
            return {}


@dataclass(frozen=True)
class Reading:
    """The ``StudyRoom`` of an installation."""

    holdings: Holdings
    records: StudyRecords
    outcome: StudyOutcomes
    describe: DescribeHoldings
    read: HeaderReader
    archive: InstanceArchive
    shelf: ResultShelf

    def find_studies(self, search: Search) -> Sequence[FoundStudy]:
        """Studies that match."""
        self.describe()
        return self.holdings.studies(search)

    def find_series(self, search: Search) -> Sequence[FoundSeries]:
        """Series that match."""
        self.describe()
        return self.holdings.series(search)

    def find_objects(self, search: Search) -> Sequence[HeldObject]:
        """Instances that match."""
        self.describe()
        return self.holdings.objects(search)

    def held(self, study: str, series: str | None, sop: str | None) -> Sequence[HeldObject]:
        """Every instance of a study or a series, or the one that is named."""
        named = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": sop}
        match = {keyword: uid for keyword, uid in named.items() if uid is not None}
        found = self.find_objects(Search(match, _EVERYTHING))
        if found:
            return found
        if series is None:
            raise UnknownStudy("Nothing of this study is held here.")
        raise UnknownObject("There is no such series or instance in this study.")

    def path_of(self, held: HeldObject) -> Path:
        """Where an instance lies. Raises UnknownObject where it is gone."""
        path = self._path_of(held)
        if not path.is_file():
            raise UnknownObject("The instance is not held any more.")
        return path

    def header(self, held: HeldObject, bulk_url: str = "") -> Attributes:
        """The header of an instance. Raises DecodingError."""
        return self.read(self.path_of(held), bulk_url).attributes

    def overviews(self, limit: int, offset: int) -> tuple[Sequence[StudyOverview], int]:
        """Studies, the latest to arrive first, and how many there are in all."""
        page = self.records.overviews(limit, offset)
        return [self._with_outcome(one) for one in page], self.records.count()

    def details(self, study_instance_uid: str) -> StudyDetails:
        """One study with its series, conflicts and jobs."""
        details = self.records.details(study_instance_uid)
        return replace(details, overview=self._with_outcome(details.overview))

    def _with_outcome(self, overview: StudyOverview) -> StudyOverview:
        return replace(overview, outcome=self.outcome(overview.study_instance_uid))

    def _path_of(self, held: HeldObject) -> Path:
        if held.job_id is not None and held.kind is not None:
            return self.shelf.path(held.job_id, held.kind)
        return self.archive.path_of(held.path or "")


def _only(attributes: Attributes, tags: Sequence[str]) -> Attributes:
    return {tag: attributes[tag] for tag in tags if tag in attributes}
