"""Searches over what is held: received objects and live results, as one set.

A result counts while its job is the one to be believed: not superseded, not retracted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Select,
    String,
    and_,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from willis_service.adapters.storage.database import Database
from willis_service.adapters.storage.matching import (
    SERIES_TESTS,
    STUDY_TESTS,
    Condition,
    like,
    one_of,
)
from willis_service.adapters.storage.tables import (
    INSTANCE,
    JOB,
    RESULT_HEADER,
    SERIES_HEADER,
    STUDY,
    STUDY_HEADER,
)
from willis_service.domain.holdings import Attributes, FoundSeries, FoundStudy, HeldObject, Search
from willis_service.domain.job import JobState, ResultKind

_IS_HELD = and_(INSTANCE.c.is_first, INSTANCE.c.purged_at.is_(None))
_IS_LIVE = and_(
    RESULT_HEADER.c.job_id == JOB.c.id,
    RESULT_HEADER.c.edition == JOB.c.edition,
    JOB.c.state != JobState.SUPERSEDED,
    JOB.c.retracted_at.is_(None),
    JOB.c.results_purged_at.is_(None),
)
_AFTER_ALL = 2**31 - 1  # results come behind everything received


@dataclass(frozen=True)
class SqlStudyQueries:
    """Serves the port Holdings."""

    database: Database

    def studies(self, search: Search) -> Sequence[FoundStudy]:
        """Studies that match, the latest to arrive first."""
        query = (
            select(STUDY.c.study_instance_uid, STUDY_HEADER.c.attributes)
            .join(STUDY_HEADER, STUDY_HEADER.c.study_instance_uid == STUDY.c.study_instance_uid)
            .where(*_study_conditions(search.match, STUDY.c.study_instance_uid))
            .where(_holds_something(STUDY.c.study_instance_uid))
            .order_by(STUDY.c.first_received_at.desc(), STUDY.c.study_instance_uid)
            .limit(search.limit)
            .offset(search.offset)
        )
        with self.database.read() as connection:
            found = connection.execute(query).all()
            contents = _contents(connection, [row[0] for row in found])
        return [FoundStudy(uid, attributes, *contents[uid]) for uid, attributes in found]

    def series(self, search: Search) -> Sequence[FoundSeries]:
        """Series that match, received ones and results."""
        parts = (_received_series(search.match), _result_series(search.match))
        order = ("study_instance_uid", "is_result", "series_instance_uid")
        with self.database.read() as connection:
            found = connection.execute(_page(parts, order, search)).all()
            counts = _series_counts(connection, {row.study_instance_uid for row in found})
            headers = _study_attributes(connection, {row.study_instance_uid for row in found})
        return [
            FoundSeries(
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=row.series_instance_uid,
                attributes=row.attributes,
                study_attributes=headers.get(row.study_instance_uid, {}),
                instances=1 if row.is_result else counts.get(tuple(row[:2]), 0),
            )
            for row in found
        ]

    def objects(self, search: Search) -> Sequence[HeldObject]:
        """Instances that match: received ones in order of arrival, then results."""
        parts = (_received_objects(search.match), _result_objects(search.match))
        order = ("study_instance_uid", "position", "sop_instance_uid")
        with self.database.read() as connection:
            return [_held(row) for row in connection.execute(_page(parts, order, search))]


def _page(
    parts: tuple[Select[Any], Select[Any]], order: Sequence[str], search: Search
) -> CompoundSelect[Any]:
    """Both parts as one set, and the part of it that is asked for."""
    both = union_all(*parts)
    columns = [both.selected_columns[name] for name in order]
    return both.order_by(*columns).limit(search.limit).offset(search.offset)


def _held(row: Any) -> HeldObject:
    values = dict(row._mapping)
    del values["position"]
    kind = values.pop("kind")
    return HeldObject(**values, kind=ResultKind(kind) if kind else None)


def _series_counts(connection: Connection, studies: Collection[str]) -> dict[Any, int]:
    series = (INSTANCE.c.study_instance_uid, INSTANCE.c.series_instance_uid)
    query = select(*series, func.count()).where(series[0].in_(studies), _IS_HELD).group_by(*series)
    return {tuple(row[:2]): row[2] for row in connection.execute(query)}


def _study_attributes(connection: Connection, studies: Collection[str]) -> dict[str, Attributes]:
    columns = (STUDY_HEADER.c.study_instance_uid, STUDY_HEADER.c.attributes)
    rows = connection.execute(select(*columns).where(columns[0].in_(studies)))
    return {row[0]: row[1] for row in rows}


def _holds_something(study: ColumnElement[str]) -> Condition:
    received = exists().where(INSTANCE.c.study_instance_uid == study, _IS_HELD)
    made = exists().where(RESULT_HEADER.c.study_instance_uid == study, _IS_LIVE)
    return or_(received, made)


def _contents(
    connection: Connection, studies: Sequence[str]
) -> dict[str, tuple[tuple[str, ...], int, int]]:
    """Modalities, number of series and of instances of each study."""
    received = (
        select(
            INSTANCE.c.study_instance_uid,
            func.count(func.distinct(INSTANCE.c.series_instance_uid)),
            func.count(),
        )
        .where(INSTANCE.c.study_instance_uid.in_(studies), _IS_HELD)
        .group_by(INSTANCE.c.study_instance_uid)
    )
    counts = {row[0]: [row[1], row[2]] for row in connection.execute(received)}
    modalities: dict[str, set[str]] = {study: set() for study in studies}
    series = select(SERIES_HEADER.c.study_instance_uid, SERIES_HEADER.c.modality)
    for study, modality in connection.execute(
        series.where(SERIES_HEADER.c.study_instance_uid.in_(studies))
    ):
        modalities[study].add(modality)
    made = select(RESULT_HEADER.c.study_instance_uid, RESULT_HEADER.c.modality).join(JOB, _IS_LIVE)
    for study, modality in connection.execute(
        made.where(RESULT_HEADER.c.study_instance_uid.in_(studies))
    ):
        modalities[study].add(modality)
        count = counts.setdefault(study, [0, 0])
        count[0], count[1] = count[0] + 1, count[1] + 1
    return {
        study: (tuple(sorted(modalities[study] - {""})), *counts.get(study, (0, 0)))
        for study in studies
    }


def _received_series(match: Mapping[str, str]) -> Select[Any]:
    table = SERIES_HEADER.c
    held = exists().where(
        INSTANCE.c.study_instance_uid == table.study_instance_uid,
        INSTANCE.c.series_instance_uid == table.series_instance_uid,
        _IS_HELD,
    )
    return select(
        table.study_instance_uid,
        table.series_instance_uid,
        table.attributes,
        literal(0).label("is_result"),
    ).where(
        held,
        *_study_conditions(match, table.study_instance_uid),
        *_series_conditions(match, SERIES_HEADER),
    )


def _result_series(match: Mapping[str, str]) -> Select[Any]:
    table = RESULT_HEADER.c
    return (
        select(
            table.study_instance_uid,
            table.series_instance_uid,
            table.attributes,
            literal(1).label("is_result"),
        )
        .join(JOB, _IS_LIVE)
        .where(*_study_conditions(match, table.study_instance_uid))
        .where(*_series_conditions(match, RESULT_HEADER))
    )


_OBJECT_COLUMNS = (
    "study_instance_uid",
    "series_instance_uid",
    "sop_instance_uid",
    "sop_class_uid",
    "transfer_syntax_uid",
    "size_bytes",
)
_SERIES_KEYS = {"Modality", "SeriesDescription", "SeriesNumber"}


def _received_objects(match: Mapping[str, str]) -> Select[Any]:
    query = select(
        *(INSTANCE.c[name] for name in _OBJECT_COLUMNS),
        INSTANCE.c.path,
        null().cast(String).label("job_id"),
        null().cast(String).label("kind"),
        INSTANCE.c.id.label("position"),
    ).where(_IS_HELD, *_study_conditions(match, INSTANCE.c.study_instance_uid))
    if _SERIES_KEYS & set(match):
        query = query.join(
            SERIES_HEADER,
            and_(
                SERIES_HEADER.c.study_instance_uid == INSTANCE.c.study_instance_uid,
                SERIES_HEADER.c.series_instance_uid == INSTANCE.c.series_instance_uid,
            ),
        ).where(*_series_conditions(match, SERIES_HEADER))
    elif "SeriesInstanceUID" in match:
        query = query.where(one_of(INSTANCE.c.series_instance_uid, match["SeriesInstanceUID"]))
    return query.where(*_object_conditions(match, INSTANCE))


def _result_objects(match: Mapping[str, str]) -> Select[Any]:
    table = RESULT_HEADER.c
    return (
        select(
            *(table[name] for name in _OBJECT_COLUMNS),
            null().cast(String).label("path"),
            table.job_id,
            table.kind,
            literal(_AFTER_ALL).label("position"),
        )
        .join(JOB, _IS_LIVE)
        .where(*_study_conditions(match, table.study_instance_uid))
        .where(*_series_conditions(match, RESULT_HEADER))
        .where(*_object_conditions(match, RESULT_HEADER))
    )


def _study_conditions(match: Mapping[str, str], study: ColumnElement[str]) -> list[Condition]:
    conditions = []
    if "StudyInstanceUID" in match:
        conditions.append(one_of(study, match["StudyInstanceUID"]))
    header = [
        test(STUDY_HEADER.c[column], match[key])
        for key, (column, test) in STUDY_TESTS.items()
        if key in match
    ]
    if header:
        conditions.append(study.in_(select(STUDY_HEADER.c.study_instance_uid).where(*header)))
    if "ModalitiesInStudy" in match:
        conditions.append(_has_modality(study, match["ModalitiesInStudy"]))
    return conditions


def _has_modality(study: ColumnElement[str], modality: str) -> Condition:
    received = select(SERIES_HEADER.c.study_instance_uid).where(
        like(SERIES_HEADER.c.modality, modality)
    )
    made = (
        select(RESULT_HEADER.c.study_instance_uid)
        .join(JOB, _IS_LIVE)
        .where(like(RESULT_HEADER.c.modality, modality))
    )
    return or_(study.in_(received), study.in_(made))


def _series_conditions(match: Mapping[str, str], table: Any) -> list[Condition]:
    return [
        test(table.c[column], match[key])
        for key, (column, test) in SERIES_TESTS.items()
        if key in match
    ]


def _object_conditions(match: Mapping[str, str], table: Any) -> list[Condition]:
    return [
        one_of(table.c[column], match[key])
        for key, column in (
            ("SOPInstanceUID", "sop_instance_uid"),
            ("SOPClassUID", "sop_class_uid"),
        )
        if key in match
    ]
