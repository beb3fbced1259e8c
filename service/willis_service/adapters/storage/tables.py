"""The tables. Their history is in ``migrations``; a test holds both equal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

METADATA = MetaData()
_UID = String(64)
_SHA256 = String(64)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is taken off and put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC. Raises ValueError for a time without a zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A time without a time zone can't be stored.")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From UTC."""
        if value is None:
            return None
        stored: datetime = value
        return stored.astimezone(UTC) if stored.tzinfo else stored.replace(tzinfo=UTC)


STUDY = Table(
    "study",
    METADATA,
    Column("study_instance_uid", _UID, primary_key=True),
    Column("first_received_at", UtcDateTime, nullable=False),
    Column("last_instance_at", UtcDateTime, nullable=False),
    # Null while everything that came was routed.
    Column("open_since", UtcDateTime, index=True),
)

INSTANCE = Table(
    "instance",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("study_instance_uid", _UID, ForeignKey("study.study_instance_uid"), nullable=False),
    Column("series_instance_uid", _UID, nullable=False),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("transfer_syntax_uid", _UID, nullable=False),
    Column("sha256", _SHA256, nullable=False),
    Column("path", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sender", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # False for other bytes under a known SOP Instance UID: kept, flagged, not analysed.
    Column("is_first", Boolean, nullable=False),
    UniqueConstraint("sop_instance_uid", "sha256", name="uq_instance_content"),
)
Index("ix_instance_study", INSTANCE.c.study_instance_uid)
Index(
    "uq_instance_first",
    INSTANCE.c.sop_instance_uid,
    unique=True,
    sqlite_where=text("is_first"),
    postgresql_where=text("is_first"),
)

JOB = Table(
    "job",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("study_instance_uid", _UID, nullable=False, index=True),
    Column("pipeline", String(64), nullable=False),
    Column("bundle_version", String(32), nullable=False),
    Column("bundle_sha256", _SHA256, nullable=False),
    Column("input_fingerprint", _SHA256, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("enqueued_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("attempts", Integer, nullable=False),
    Column("step", String(64)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("results", JSON, nullable=False),
    UniqueConstraint("pipeline", "bundle_sha256", "input_fingerprint", name="uq_job_input"),
)

WORKER = Table(
    "worker",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("models", JSON, nullable=False),
)
