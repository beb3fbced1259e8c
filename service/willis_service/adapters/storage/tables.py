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
    Float,
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
    Column("last_instance_at", UtcDateTime, nullable=False, index=True),
    # Null while everything that came was routed.
    Column("open_since", UtcDateTime, index=True),
    # When retention removed its images; what came later is kept.
    Column("instances_purged_at", UtcDateTime),
    # Everything that came, conflicting instances included; what the limits of a study look at.
    Column("instance_count", Integer, nullable=False, server_default="0"),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),
)

# What became of a study when it was routed: the latest decision.
STUDY_OUTCOME = Table(
    "study_outcome",
    METADATA,
    Column("study_instance_uid", _UID, primary_key=True),
    Column("code", String(32), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    # Empty while more images are waited for.
    Column("images_fingerprint", _SHA256, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("decisions", JSON, nullable=False),
)
Index("ix_study_first_received_at", STUDY.c.first_received_at)

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
    # Set once retention removed the bytes; the same instance is stored anew when it comes again.
    Column("purged_at", UtcDateTime),
    UniqueConstraint("sop_instance_uid", "sha256", name="uq_instance_content"),
)
Index("ix_instance_study", INSTANCE.c.study_instance_uid)
# Only of the purged ones: nearly every row has none, and no search must be led through them.
Index(
    "ix_instance_purged_at",
    INSTANCE.c.purged_at,
    sqlite_where=text("purged_at IS NOT NULL"),
    postgresql_where=text("purged_at IS NOT NULL"),
)
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
    # The role of each input, and what was asked beside them; null in rows of earlier versions.
    Column("roles", JSON),
    Column("options", JSON),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Column("enqueued_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("heartbeat_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    # Attempts since the job was asked for; the token counts all runs and never goes back.
    Column("attempts", Integer, nullable=False),
    Column("token", Integer, nullable=False, server_default="0"),
    Column("ran_s", Float, nullable=False, server_default="0"),
    Column("asked_at", UtcDateTime),
    # A job that is tried again waits until then.
    Column("again_at", UtcDateTime),
    Column("step", String(64)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("results", JSON, nullable=False),
    Column("priority", String(16), nullable=False, server_default="routine"),
    Column("predecessor_id", String(32)),
    Column("successor_id", String(32)),
    # Which folder of results counts, since when, and whether it only says that there is no result.
    Column("edition", String(64)),
    Column("published_at", UtcDateTime),
    Column("notice_code", String(64)),
    Column("notice_tries", Integer, nullable=False, server_default="0"),
    Column("timings_s", JSON, nullable=False, server_default="{}"),
    # The published_at that deliveries were planned for: it differs once there is a new edition.
    Column("delivery_planned_for", UtcDateTime),
    Column("retracted_at", UtcDateTime),
    Column("retraction_reason", Text),
    Column("results_purged_at", UtcDateTime),
    UniqueConstraint("pipeline", "bundle_sha256", "input_fingerprint", name="uq_job_input"),
)

WORKER = Table(
    "worker",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("beat_at", UtcDateTime, nullable=False),
    Column("models", JSON, nullable=False),
    Column("role", String(16), nullable=False, server_default="worker"),
)

DELIVERY = Table(
    "delivery",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("job_id", String(32), ForeignKey("job.id"), nullable=False, index=True),
    Column("destination", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    # SOP Instance UID of a DICOM object, SHA-256 of any other file.
    Column("object_id", _SHA256, nullable=False),
    Column("sop_class_uid", _UID),
    Column("state", String(16), nullable=False),
    Column("priority", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("planned_at", UtcDateTime, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("attempted_at", UtcDateTime),
    Column("sent_at", UtcDateTime),
    Column("committed_at", UtcDateTime),
    # Who sends it now, and until when nobody else may.
    Column("courier", String(64)),
    Column("leased_until", UtcDateTime),
    # Whether an attempt may have arrived without our hearing of it.
    Column("may_be_there", Boolean, nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("transaction_uid", _UID, index=True),
    Column("commitment_due_at", UtcDateTime),
    UniqueConstraint("job_id", "destination", "kind", "object_id", name="uq_delivery_object"),
)
Index("ix_delivery_state", DELIVERY.c.state)
# Looked at twice a second: it holds the few jobs whose deliveries are not planned yet.
Index(
    "ix_job_unplanned",
    JOB.c.published_at,
    sqlite_where=text("delivery_planned_for IS NOT published_at"),
    postgresql_where=text("delivery_planned_for IS DISTINCT FROM published_at"),
)
Index("ix_delivery_due", DELIVERY.c.destination, DELIVERY.c.state, DELIVERY.c.next_attempt_at)

# What a search needs of the headers, read from the files after they came. Everything in these three
# can be made again from the files.
STUDY_HEADER = Table(
    "study_header",
    METADATA,
    Column("study_instance_uid", _UID, primary_key=True),
    # The study's last_instance_at when it was read: the study is read again once they differ.
    Column("changed_at", UtcDateTime, nullable=False),
    Column("patient_id", Text, nullable=False, index=True),
    Column("patient_name", Text, nullable=False),
    Column("accession_number", Text, nullable=False, index=True),
    Column("study_date", Text, nullable=False, index=True),
    Column("study_description", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)

SERIES_HEADER = Table(
    "series_header",
    METADATA,
    Column("study_instance_uid", _UID, primary_key=True),
    Column("series_instance_uid", _UID, primary_key=True),
    Column("modality", Text, nullable=False),
    Column("series_description", Text, nullable=False),
    Column("series_number", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)

RESULT_HEADER = Table(
    "result_header",
    METADATA,
    Column("job_id", String(32), primary_key=True),
    Column("kind", String(32), primary_key=True),
    # The job's edition when it was read: what is published again is read again.
    Column("edition", String(64), nullable=False),
    Column("study_instance_uid", _UID, nullable=False, index=True),
    Column("series_instance_uid", _UID, nullable=False),
    Column("sop_instance_uid", _UID, nullable=False),
    Column("sop_class_uid", _UID, nullable=False),
    Column("transfer_syntax_uid", _UID, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("modality", Text, nullable=False),
    Column("series_description", Text, nullable=False),
    Column("series_number", Text, nullable=False),
    Column("attributes", JSON, nullable=False),
)

COMMITMENT = Table(
    "commitment",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("requester", String(16), nullable=False),
    Column("transaction_uid", _UID, nullable=False),
    Column("address", String(64), nullable=False),
    Column("objects", JSON, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    UniqueConstraint("requester", "transaction_uid", name="uq_commitment_transaction"),
)

# Which version of a model is live or in shadow, decided by whom and why: rows are only added.
MODEL_DECISION = Table(
    "model_decision",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("pipeline", String(64), nullable=False, index=True),
    Column("action", String(16), nullable=False),
    Column("version", String(32)),
    Column("sha256", _SHA256),
    Column("before_version", String(32)),
    Column("before_sha256", _SHA256),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# How far a candidate was from the live model on one job: differences, no results.
SHADOW_RUN = Table(
    "shadow_run",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("pipeline", String(64), nullable=False, index=True),
    Column("live_version", String(32), nullable=False),
    Column("live_sha256", _SHA256, nullable=False),
    Column("candidate_version", String(32), nullable=False),
    Column("candidate_sha256", _SHA256, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("live_status", String(16), nullable=False),
    Column("live_s", Float, nullable=False),
    Column("candidate_status", String(16)),
    Column("candidate_s", Float),
    Column("error_code", String(64)),
    Column("score_changes", JSON, nullable=False),
    Column("changed_states", Integer),
    Column("dice", JSON, nullable=False),
    UniqueConstraint("job_id", "candidate_sha256", name="uq_shadow_run"),
)
