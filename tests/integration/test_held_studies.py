"""The index of headers, the searches over it and the commitment book, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from tests.databases import at_once
from tests.hand_clock import START
from willis_models.errors import UnknownStudy
from willis_service.adapters.storage.commitments import FileDigests, SqlCommitments
from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.headers import SqlHeaders
from willis_service.adapters.storage.study_queries import SqlStudyQueries
from willis_service.adapters.storage.study_records import SqlStudyRecords
from willis_service.adapters.storage.tables import COMMITMENT, INSTANCE, JOB, STUDY
from willis_service.domain.commitment import CommitmentRequest, CommitmentState, Reference
from willis_service.domain.holdings import (
    HeldObject,
    ResultHeader,
    Search,
    SeriesHeader,
    StudyHeader,
)
from willis_service.domain.instance import StoredInstance, content_digest
from willis_service.domain.job import JobState, ResultKind
from willis_service.domain.study_overview import StudyState

LATER = START + timedelta(hours=1)
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


def image(sop: str, series: str = "1.2.1", study: str = "1.2", **given: object) -> StoredInstance:
    plain = StoredInstance(study, series, sop, "1.9", "1.8", "a" * 64, f"p/{sop}", 7, "CT", START)
    return replace(plain, **given)


def arrive(database: Database, *instances: StoredInstance, at: datetime = START) -> None:
    """What receiving leaves in the tables."""
    with database.write() as connection:
        for one in instances:
            this = STUDY.c.study_instance_uid == one.study_instance_uid
            touched = update(STUDY).where(this).values(last_instance_at=at, open_since=at)
            if connection.execute(touched).rowcount == 0:
                row = {"study_instance_uid": one.study_instance_uid, "first_received_at": at}
                connection.execute(insert(STUDY).values(**row, last_instance_at=at, open_since=at))
            same = INSTANCE.c.sop_instance_uid == one.sop_instance_uid
            is_first = connection.execute(INSTANCE.select().where(same)).first() is None
            connection.execute(insert(INSTANCE).values(**vars(one), is_first=is_first))


def ended(database: Database, job_id: str, study: str = "1.2", **given: object) -> None:
    """What a job leaves in the table."""
    row = {
        "id": job_id,
        "study_instance_uid": study,
        "pipeline": "toy",
        "bundle_version": "1",
        "bundle_sha256": "b" * 64,
        "input_fingerprint": job_id.rjust(64, "0"),
        "inputs": [],
        "state": JobState.SUCCEEDED,
        "created_at": START,
        "finished_at": START,
        "published_at": START,
        "edition": "1",
        "attempts": 1,
        "results": [ResultKind.SEG, ResultKind.SR, ResultKind.FINDINGS],
    }
    with database.write() as connection:
        connection.execute(insert(JOB).values({**row, **given}))


def describe(database: Database, study: str = "1.2", changed_at: datetime = START, **series: str):
    patient = {"00100020": {"vr": "LO", "Value": ["P1"]}}
    SqlHeaders(database).put_study(
        StudyHeader(study, changed_at, patient),
        [
            SeriesHeader(study, uid, {"00080060": {"vr": "CS", "Value": [modality]}})
            for modality, uid in series.items()
        ],
    )


def result(job_id: str, kind: ResultKind, number: int, edition: str = "1") -> ResultHeader:
    held = HeldObject(
        study_instance_uid="1.2",
        series_instance_uid=f"1.2.9{number}",
        sop_instance_uid=f"1.2.9{number}.1",
        sop_class_uid=SEG_CLASS,
        transfer_syntax_uid="1.8",
        size_bytes=9,
        job_id=job_id,
        kind=kind,
    )
    modality = "SEG" if kind is ResultKind.SEG else "SR"
    return ResultHeader(held, edition, {"00080060": {"vr": "CS", "Value": [modality]}})


def search(limit: int = 100, **match: str) -> Search:
    return Search(match, limit)


def test_a_study_is_read_once_and_again_only_for_what_is_new_in_it(database):
    headers = SqlHeaders(database)
    arrive(database, image("1.1"), image("1.2"), image("2.1", "1.2.2"))

    [new] = headers.undescribed_studies(10, LATER)
    describe(database, CT="1.2.1", MR="1.2.2")
    settled = headers.undescribed_studies(10, LATER)
    arrive(database, image("3.1", "1.2.3"), at=LATER)
    [again] = headers.undescribed_studies(10, LATER)

    assert dict(new.new_series) == {"1.2.1": "p/1.1", "1.2.2": "p/2.1"}
    assert settled == []
    assert dict(again.new_series) == {"1.2.3": "p/3.1"}


def test_a_study_on_its_way_in_can_be_left_until_it_settles(database):
    arrive(database, image("1.1"), at=LATER)

    assert SqlHeaders(database).undescribed_studies(10, START) == []


def test_a_clock_that_went_back_does_not_hide_what_came(database):
    arrive(database, image("1.1"), at=LATER)
    describe(database, changed_at=LATER, CT="1.2.1")
    arrive(database, image("2.1", "1.2.2"), at=START)

    assert len(SqlHeaders(database).undescribed_studies(10, LATER)) == 1


def test_what_was_read_of_a_study_first_stays(database):
    arrive(database, image("1.1"))
    describe(database, CT="1.2.1")

    other = StudyHeader("1.2", LATER, {"00100020": {"vr": "LO", "Value": ["P2"]}})
    SqlHeaders(database).put_study(other, [])

    [found] = SqlStudyQueries(database).studies(search())
    assert found.attributes["00100020"]["Value"] == ["P1"]


def test_two_processes_that_read_the_same_study_do_each_other_no_harm(database):
    arrive(database, image("1.1"))

    at_once(4, lambda _number: describe(database, CT="1.2.1"))

    assert len(SqlStudyQueries(database).series(search())) == 1


def test_results_are_read_once_for_each_publication(database):
    headers = SqlHeaders(database)
    arrive(database, image("1.1"))
    ended(database, "j")

    [new] = headers.undescribed_results(10)
    headers.put_results([result("j", ResultKind.SEG, 1), result("j", ResultKind.SR, 2)])
    read = headers.undescribed_results(10)
    with database.write() as connection:
        connection.execute(update(JOB).values(edition="2"))
    again = headers.undescribed_results(10)

    assert (new.job_id, new.edition, new.kinds) == ("j", "1", (ResultKind.SEG, ResultKind.SR))
    assert (read, len(again)) == ([], 1)


def test_results_of_an_earlier_publication_are_not_found(database):
    arrive(database, image("1.1"))
    describe(database, CT="1.2.1")
    ended(database, "j", edition="2")
    SqlHeaders(database).put_results([result("j", ResultKind.SEG, 1, edition="1")])

    [study] = SqlStudyQueries(database).studies(search())
    assert (study.modalities, study.instances) == (("CT",), 1)


@pytest.mark.parametrize(
    "gone",
    [
        {"state": JobState.SUPERSEDED},
        {"retracted_at": START},
        {"results_purged_at": START},
    ],
)
def test_results_count_while_their_job_is_the_one_to_be_believed(database, gone):
    arrive(database, image("1.1"))
    describe(database, CT="1.2.1")
    ended(database, "j")
    SqlHeaders(database).put_results(
        [result("j", ResultKind.SEG, 1), result("j", ResultKind.SR, 2)]
    )
    holdings = SqlStudyQueries(database)
    [before] = holdings.studies(search())

    with database.write() as connection:
        connection.execute(update(JOB).values(**gone))

    [after] = holdings.studies(search())
    assert (before.modalities, before.series, before.instances) == (("CT", "SEG", "SR"), 3, 3)
    assert (after.modalities, after.series, after.instances) == (("CT",), 1, 1)
    assert [one.kind for one in holdings.objects(search())] == [None]
    assert holdings.studies(search(ModalitiesInStudy="SEG")) == []


def test_objects_come_in_order_of_arrival_and_results_after_them(database):
    arrive(database, image("5.5"), image("1.1"))
    describe(database, CT="1.2.1")
    ended(database, "j")
    SqlHeaders(database).put_results([result("j", ResultKind.SEG, 1)])

    found = SqlStudyQueries(database).objects(search(StudyInstanceUID="1.2"))

    assert [one.sop_instance_uid for one in found] == ["5.5", "1.1", "1.2.91.1"]
    assert [one.path for one in found] == ["p/5.5", "p/1.1", None]


def test_purged_and_conflicting_instances_are_not_found(database):
    arrive(database, image("1.1"), image("1.1", sha256="c" * 64), image("1.2"))
    describe(database, CT="1.2.1")
    with database.write() as connection:
        purge = update(INSTANCE).where(INSTANCE.c.sop_instance_uid == "1.2")
        connection.execute(purge.values(purged_at=START))

    found = SqlStudyQueries(database).objects(search())

    assert [(one.sop_instance_uid, one.path) for one in found] == [("1.1", "p/1.1")]


def test_a_study_of_which_nothing_is_left_is_not_found(database):
    arrive(database, image("1.1"))
    describe(database, CT="1.2.1")
    with database.write() as connection:
        connection.execute(update(INSTANCE).values(purged_at=START))

    assert SqlStudyQueries(database).studies(search()) == []
    assert SqlStudyQueries(database).series(search()) == []


def test_a_wildcard_is_no_pattern_of_the_database(database):
    arrive(database, image("1.1"))
    describe(database, CT="1.2.1")
    holdings = SqlStudyQueries(database)

    found = {
        text: len(holdings.studies(search(PatientID=text))) for text in ("P?", "P%", "__", "*")
    }

    assert found == {"P?": 1, "P%": 0, "__": 0, "*": 1}


def test_a_value_longer_than_any_index_takes_is_stored_and_found_by_its_beginning(database):
    arrive(database, image("1.1"))
    patient = {"00100020": {"vr": "LO", "Value": ["P" * 100_000]}}
    SqlHeaders(database).put_study(StudyHeader("1.2", START, patient), [])

    [found] = SqlStudyQueries(database).studies(search(PatientID="PPP*"))

    assert found.attributes == patient


def test_an_overview_counts_what_came_and_from_whom(database):
    arrive(
        database,
        image("1.1"),
        image("1.1", sha256="c" * 64, sender="PACS", size_bytes=3),
        image("2.1", "1.2.2"),
    )
    ended(database, "j", state=JobState.FAILED, error_code="WORKER_LOST", edition=None)

    [study] = SqlStudyRecords(database).overviews(10, 0)

    assert (study.series, study.instances, study.size_bytes, study.conflicts) == (2, 2, 17, 1)
    assert study.senders == ("CT", "PACS")
    assert [(job.id, job.state, job.error_code) for job in study.jobs] == [
        ("j", JobState.FAILED, "WORKER_LOST")
    ]
    assert study.state is StudyState.OPEN


def test_overviews_are_paged_the_latest_study_first(database):
    records = SqlStudyRecords(database)
    for number in range(3):
        at = START + timedelta(minutes=number)
        arrive(database, image(f"{number}.1", study=f"1.{number}"), at=at)

    pages = [[one.study_instance_uid for one in records.overviews(2, k)] for k in (0, 2)]

    assert pages == [["1.2", "1.1"], ["1.0"]]
    assert records.count() == 3


def test_the_details_of_a_study_hold_each_version_of_a_conflict(database):
    arrive(
        database,
        image("1.1"),
        image("1.1", sha256="c" * 64, sender="PACS", received_at=LATER),
        image("1.2"),
    )

    details = SqlStudyRecords(database).details("1.2")

    [conflict] = details.conflicts
    assert conflict.sop_instance_uid == "1.1"
    assert [(one.sender, one.is_used) for one in conflict.versions] == [
        ("CT", True),
        ("PACS", False),
    ]
    assert [one.instances for one in details.series] == [2]
    with pytest.raises(UnknownStudy):
        SqlStudyRecords(database).details("1.9")


REQUEST = CommitmentRequest("1.7", "PACS", "10.0.0.1", (Reference("1.9", "1.1"),))


def test_a_commitment_request_waits_until_it_is_finished(database):
    book = SqlCommitments(database)

    book.store(REQUEST, START)
    [due] = book.due(START)
    book.postpone(due, START + timedelta(minutes=5))
    waiting = book.due(START)
    [again] = book.due(LATER)
    book.finish(again, CommitmentState.REPORTED, LATER)

    assert (due.request, due.attempts) == (REQUEST, 0)
    assert (waiting, again.attempts) == ([], 1)
    assert book.due(LATER) == []


def test_a_clock_that_went_back_delays_no_report(database):
    book = SqlCommitments(database)
    book.store(REQUEST, START)
    [due] = book.due(START)
    book.postpone(due, START + timedelta(seconds=5))

    assert book.due(START) == []
    assert len(book.due(START - timedelta(hours=1))) == 1


def test_the_same_transaction_asked_again_is_reported_again(database):
    book = SqlCommitments(database)
    book.store(REQUEST, START)
    [due] = book.due(START)
    book.finish(due, CommitmentState.REPORTED, START)

    book.store(replace(REQUEST, references=(Reference("1.9", "1.2"),)), LATER)

    [again] = book.due(LATER)
    assert again.request.references == (Reference("1.9", "1.2"),)


def test_an_answer_to_what_was_asked_before_does_not_end_what_was_asked_anew(database):
    book = SqlCommitments(database)
    book.store(REQUEST, START)
    [old] = book.due(START)
    book.store(REQUEST, LATER)

    book.finish(old, CommitmentState.REPORTED, LATER)

    assert len(book.due(LATER)) == 1


def test_one_transaction_is_one_request_however_many_associations_bring_it(database):
    book = SqlCommitments(database)

    at_once(4, lambda _number: book.store(REQUEST, START))

    with database.read() as connection:
        assert len(connection.execute(COMMITMENT.select()).all()) == 1


def test_every_content_under_a_uid_is_in_our_custody_until_it_is_purged(database):
    arrive(database, image("1.1"), image("1.1", sha256="c" * 64))
    book = SqlCommitments(database)

    assert [one.sha256[:1] for one in book.versions("1.1")] == ["a", "c"]
    with database.write() as connection:
        connection.execute(update(INSTANCE).values(purged_at=START))
    assert book.versions("1.1") == []


@pytest.mark.parametrize("harm", ["none", "flipped", "cut", "gone", "replaced"])
def test_a_file_is_proved_by_its_bytes(tmp_path: Path, harm: str):
    meta = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\x00"
    length = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
    content = bytes(128) + b"DICM" + length + meta + b"the data set"
    digest = content_digest("1.2.840.10008.1.2.1")
    digest.update(b"the data set")
    stored = image(
        "1.1",
        path="a.dcm",
        sha256=digest.hexdigest(),
        size_bytes=len(content),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
    )
    harmed = {
        "none": content,
        "flipped": content[:-1] + b"!",
        "cut": content[:-1],
        "replaced": content + b"!",
    }
    if harm in harmed:
        (tmp_path / "a.dcm").write_bytes(harmed[harm])

    assert FileDigests(tmp_path)(stored) is (harm == "none")
