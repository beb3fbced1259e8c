"""Open studies and what became of them, in both databases."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.outcomes import SqlStudyOutcomes
from willis_service.adapters.storage.studies import SqlStudies
from willis_service.domain.completeness import Basis
from willis_service.domain.instance import Arrival, StoredInstance, StudyLimits
from willis_service.domain.study import Decision, OutcomeCode, SeriesArrival, StudyOutcome

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)
DECISIONS = (
    Decision("toy", "job-1", Basis.CONTIGUOUS_SLICES, ("Head CT",), ("Series 2: the best",)),
    Decision("other", None, None, (), ("Series 2: no perfusion", "Series 3: MR")),
)
OUTCOME = StudyOutcome("1.2", OutcomeCode.ROUTED, "Analysed by toy.", "f" * 64, NOW, DECISIONS)


def instance(sop: str, series: str = "1.2.9", at: datetime = NOW) -> StoredInstance:
    digest = "a" * 64
    return StoredInstance("1.2", series, sop, "1.2.840", "1.2.840", digest, "p", 1, "CT", at)


@pytest.fixture
def studies(database: Database) -> SqlStudies:
    return SqlStudies(database)


def add(studies: SqlStudies, *instances: StoredInstance) -> None:
    limits = StudyLimits(100, 10**9)
    for one in instances:
        studies.add_all([Arrival(one, opens_study=True, limits=limits)], lambda: True)


def test_an_open_study_says_how_many_instances_came_and_when(studies: SqlStudies) -> None:
    add(studies, instance("1"), instance("2", at=LATER))

    (study,) = studies.open_studies()

    assert (study.open_since, study.last_instance_at, study.instances) == (NOW, LATER, 2)


def test_each_series_says_how_far_it_arrived(studies: SqlStudies) -> None:
    add(studies, instance("1"), instance("2", at=LATER), instance("3", series="1.2.8"))

    assert sorted(studies.arrivals("1.2"), key=lambda one: one.series_instance_uid) == [
        SeriesArrival("1.2.8", 1, NOW),
        SeriesArrival("1.2.9", 2, LATER),
    ]


def test_a_study_closes_when_nothing_came_meanwhile(studies: SqlStudies) -> None:
    add(studies, instance("1"))
    (study,) = studies.open_studies()

    assert studies.close(study, LATER)
    assert studies.open_studies() == []


@pytest.mark.parametrize("at", [NOW, LATER])
def test_a_study_stays_open_when_something_came_meanwhile(
    studies: SqlStudies, at: datetime
) -> None:
    add(studies, instance("1"))
    (study,) = studies.open_studies()
    add(studies, instance("2", at=at))

    assert not studies.close(study, LATER)
    assert [one.open_since for one in studies.open_studies()] == [LATER]


def test_an_instance_on_its_way_while_a_study_closes_is_never_forgotten(
    studies: SqlStudies,
) -> None:
    for number in range(20):
        first, second = instance(f"{number}.1"), instance(f"{number}.2")
        add(studies, first)
        (study,) = studies.open_studies()
        adding = threading.Thread(target=add, args=(studies, second))
        adding.start()
        is_closed = studies.close(study, LATER)
        adding.join()

        # Closed before it came, and opened again by it; or still open because of it.
        assert len(studies.open_studies()) == 1, (number, is_closed)
        (study,) = studies.open_studies()
        assert studies.close(study, LATER)


def test_an_outcome_comes_back_as_it_was_recorded(database: Database) -> None:
    outcomes = SqlStudyOutcomes(database)
    outcomes.record(OUTCOME)

    assert outcomes.study_outcome("1.2") == OUTCOME
    assert outcomes.study_outcome("1.3") is None


def test_a_later_outcome_takes_the_place_of_an_earlier_one(database: Database) -> None:
    outcomes = SqlStudyOutcomes(database)
    later = replace(OUTCOME, code=OutcomeCode.NO_RULE, decided_at=LATER, decisions=())
    for one in (OUTCOME, later):
        outcomes.record(one)

    assert outcomes.study_outcome("1.2") == later
