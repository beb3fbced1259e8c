"""A ledger with real objects: a database, jobs with SEG and SR on disk, and a courier's parts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ParametricMapStorage, SegmentationStorage, generate_uid
from sqlalchemy import insert, select, update

from tests.aspects_findings import aspects_analysis
from tests.databases import put_empty_sqlite
from tests.hand_clock import START, HandClock
from tests.infarct_findings import infarct_analysis
from tests.plain_series import plain_series
from tests.synthetic_ct import write_ct_series
from willis_service.adapters.dicom.associate import Requestor, Timeouts
from willis_service.adapters.dicom.carrier import DicomCarrier
from willis_service.adapters.dicom.packing import ResultPacker
from willis_service.adapters.dicom.parametric_map import write_map
from willis_service.adapters.dicom.result_headers import Equipment
from willis_service.adapters.dicom.retraction import WriteRetraction
from willis_service.adapters.dicom.seg import write_seg
from willis_service.adapters.dicom.sr import write_sr
from willis_service.adapters.storage.database import Database, migrate, open_database
from willis_service.adapters.storage.deliveries import SqlOutbox
from willis_service.adapters.storage.delivery_book import SqlDeliveryBook
from willis_service.adapters.storage.files import keep_file
from willis_service.adapters.storage.jobs import SqlJobs
from willis_service.adapters.storage.tables import DELIVERY, JOB
from willis_service.application.delivery.desk import LedgerDesk
from willis_service.application.delivery.lane import Lane
from willis_service.application.delivery.plan import PlanDeliveries
from willis_service.application.ports.delivering import Carrier, DeliveryQuery
from willis_service.domain.delivery import Backoff, Delivery
from willis_service.domain.destinations import DicomTarget, ResultDestination
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.peers import Destination

EQUIPMENT = Equipment(software_version="0.1.0", serial_number="site-7")
SEG_AND_SR = (ResultKind.SEG, ResultKind.SR)
SEG_MAP_AND_SR = (ResultKind.SEG, ResultKind.TMAX, ResultKind.SR)
_RESULT_CLASSES = (SegmentationStorage, ParametricMapStorage)


@cache
def seg_and_sr() -> tuple[Dataset, Dataset]:
    """A segmentation and the report on it, as the service writes them."""
    with TemporaryDirectory() as folder:
        series = plain_series(write_ct_series(Path(folder), shape=(12, 32, 32)))
        analysis = aspects_analysis(series.image.stack)
        seg = write_seg(analysis, series, EQUIPMENT, created=START)
        assert seg is not None
        sr = write_sr(analysis, series.headers, seg, EQUIPMENT, created=START)
        for made, name in ((seg, "seg.dcm"), (sr, "sr.dcm")):
            made.save_as(Path(folder) / name, enforce_file_format=True)
        return dcmread(Path(folder) / "seg.dcm"), dcmread(Path(folder) / "sr.dcm")


def write_perfusion_results(folder: Path) -> dict[ResultKind, Path]:
    """A segmentation whose segments overlap, a map, and the report that names both."""
    series = plain_series(write_ct_series(folder / "ct", shape=(10, 24, 24), slice_step_mm=10.0))
    analysis = infarct_analysis(series.image.stack)
    seg = write_seg(analysis, series, EQUIPMENT, created=START)
    assert seg is not None
    tmax = next(one for one in analysis.maps if one.key == "tmax")
    made = write_map(tmax, analysis.findings, series, EQUIPMENT, created=START)
    sr = write_sr(analysis, series.headers, seg, EQUIPMENT, created=START, maps=[made])
    objects = {ResultKind.SEG: seg, ResultKind.TMAX: made, ResultKind.SR: sr}
    for kind, one in objects.items():
        one.save_as(folder / kind, enforce_file_format=True)
    return {kind: folder / kind for kind in objects}


@cache
def perfusion_objects() -> dict[ResultKind, Dataset]:
    """The same objects, read again."""
    with TemporaryDirectory() as folder:
        paths = write_perfusion_results(Path(folder))
        return {kind: dcmread(path) for kind, path in paths.items()}


@dataclass(frozen=True)
class PlainShelf:
    """Results in one folder a job."""

    root: Path

    def path(self, job_id: str, kind: ResultKind) -> Path:
        return self.root / job_id / kind.value


@dataclass
class Rig:
    """An installation as far as delivery sees it."""

    folder: Path
    database: Database
    clock: HandClock = field(default_factory=HandClock)
    destinations: Sequence[ResultDestination] = ()

    def __post_init__(self) -> None:
        self.outbox = SqlOutbox(self.database)
        self.book = SqlDeliveryBook(self.database)
        self.jobs = SqlJobs(self.database)
        self.shelf = PlainShelf(self.folder / "results")
        self.packer = ResultPacker(self.shelf, self.folder / "outgoing", keep_file)  # type: ignore[arg-type]

    @property
    def plan(self) -> PlanDeliveries:
        return PlanDeliveries(self.outbox, self.packer, self.destinations, self.clock)

    @property
    def desk(self) -> LedgerDesk:
        write = WriteRetraction(self.shelf, EQUIPMENT, keep_file)  # type: ignore[arg-type]
        configured = {one.name: one for one in self.destinations}
        return LedgerDesk(self.book, self.jobs, self.packer, write, configured, self.clock)

    def job(
        self,
        name: str = "one",
        kinds: Iterable[ResultKind] = SEG_AND_SR,
        **values: Any,
    ) -> str:
        """A job that ended with results of its own."""
        job_id, kinds = hashlib.sha256(name.encode()).hexdigest()[:32], tuple(kinds)
        self._write(job_id, name, kinds)
        row = {
            "id": job_id,
            "study_instance_uid": "1.2.3",
            "pipeline": "aspects",
            "bundle_version": "1.0.0",
            "bundle_sha256": "a" * 64,
            "input_fingerprint": hashlib.sha256(name.encode()).hexdigest(),
            "inputs": [],
            "state": JobState.SUCCEEDED,
            "created_at": self.clock(),
            "finished_at": self.clock(),
            "published_at": self.clock(),
            "edition": "1",
            "attempts": 1,
            "results": list(kinds),
            "priority": "routine",
        }
        with self.database.write() as connection:
            connection.execute(insert(JOB).values({**row, **values}))
        return job_id

    def change_job(self, job_id: str, **values: Any) -> None:
        with self.database.write() as connection:
            connection.execute(update(JOB).where(JOB.c.id == job_id).values(values))

    def republish(self, job_id: str, name: str, kinds: Iterable[ResultKind] = SEG_AND_SR) -> None:
        """A new edition of the job's results, with objects of its own."""
        self._write(job_id, name, tuple(kinds))
        self.change_job(job_id, published_at=self.clock(), results=list(kinds))

    def _write(self, job_id: str, name: str, kinds: Sequence[ResultKind]) -> None:
        objects = dict(zip(SEG_AND_SR, seg_and_sr(), strict=True))
        if ResultKind.TMAX in kinds:
            objects = perfusion_objects()
        for kind in kinds:
            path = self.shelf.path(job_id, kind)
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind in objects:
                _save_as_another(objects[kind], name, path)
            else:
                path.write_text(f'{{"of": "{name}"}}')

    def uids(self, job_id: str) -> dict[ResultKind, str]:
        return {kind: str(self.read(job_id, kind).SOPInstanceUID) for kind in SEG_AND_SR}

    def read(self, job_id: str, kind: ResultKind) -> Dataset:
        return dcmread(self.shelf.path(job_id, kind))

    def rows(self, **wanted: Any) -> list[Delivery]:
        return list(self.book.find(DeliveryQuery(limit=1000, **wanted)))

    def states(self, **wanted: Any) -> dict[str, str]:
        return {one.kind.name: one.state.value for one in self.rows(**wanted)}

    def column(self, delivery_id: str, name: str) -> Any:
        with self.database.read() as connection:
            this = DELIVERY.c.id == delivery_id
            return connection.execute(select(DELIVERY.c[name]).where(this)).scalar_one()

    def lane(
        self, destination: ResultDestination, carry: Carrier | None = None, **given: Any
    ) -> Lane:
        values: dict[str, Any] = {
            "destination": destination,
            "outbox": self.outbox,
            "jobs": self.jobs,
            "packer": self.packer,
            "carry": carry or carrier(destination),
            "courier": "courier-1",
            "lease": timedelta(seconds=60),
            "backoff": Backoff(timedelta(seconds=5), timedelta(seconds=300)),
            "clock": self.clock,
            "chance": lambda: 0.999,
            "monotonic": lambda: self.clock.now.timestamp(),
        }
        return Lane(**{**values, **given})


def carrier(destination: ResultDestination, timeout_s: float = 5) -> DicomCarrier:
    """The C-STORE way to a destination, with short patience."""
    assert isinstance(destination.target, DicomTarget)
    timeouts = Timeouts(timeout_s, timeout_s, timeout_s)
    return DicomCarrier(destination.target.peer, Requestor("WILLIS", timeouts))


def archive_destination(peer: Destination, name: str = "pacs", **given: Any) -> ResultDestination:
    commitment = given.pop("commitment", False)
    return ResultDestination(name, DicomTarget(peer, commitment=commitment), **given)


def open_rig(folder: Path, url: str | None = None) -> Rig:
    if url is not None:
        database = open_database(url)
        migrate(database)
        return Rig(folder, database)
    return Rig(folder, open_database(put_empty_sqlite(folder / "willis.sqlite")))


def run_until_idle(*rounds: Callable[[], bool]) -> int:
    """Each round as long as it has work; how much there was."""
    count = 0
    while any(one() for one in rounds):
        count += 1
        assert count < 1000
    return count


def _save_as_another(source: Dataset, name: str, path: Path) -> None:
    """The object with UIDs of its own, and the report naming the segmentation beside it."""
    made = deepcopy(source)
    uid = _uid(name, str(made.SOPClassUID))
    made.SOPInstanceUID, made.file_meta.MediaStorageSOPInstanceUID = uid, uid
    for item in items_of(made):
        if (named := item.get("ReferencedSOPClassUID")) in _RESULT_CLASSES:
            item.ReferencedSOPInstanceUID = _uid(name, str(named))
    made.save_as(path, enforce_file_format=True)


def _uid(name: str, sop_class: str) -> str:
    return str(generate_uid(entropy_srcs=[name, sop_class]))


def items_of(dataset: Dataset) -> Iterator[Dataset]:
    """Every sequence item at any depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from items_of(item)
