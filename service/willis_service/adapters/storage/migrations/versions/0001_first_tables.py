"""Studies, instances, jobs and workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("first_received_at", _TIME, nullable=False),
        sa.Column("last_instance_at", _TIME, nullable=False),
        sa.Column("open_since", _TIME),
    )
    op.create_index("ix_study_open_since", "study", ["open_since"])
    op.create_table(
        "instance",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "study_instance_uid",
            sa.String(64),
            sa.ForeignKey("study.study_instance_uid"),
            nullable=False,
        ),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("transfer_syntax_uid", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sender", sa.String(64), nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("is_first", sa.Boolean, nullable=False),
        sa.UniqueConstraint("sop_instance_uid", "sha256", name="uq_instance_content"),
    )
    op.create_index("ix_instance_study", "instance", ["study_instance_uid"])
    op.create_index(
        "uq_instance_first",
        "instance",
        ["sop_instance_uid"],
        unique=True,
        sqlite_where=sa.text("is_first"),
        postgresql_where=sa.text("is_first"),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("bundle_version", sa.String(32), nullable=False),
        sa.Column("bundle_sha256", sa.String(64), nullable=False),
        sa.Column("input_fingerprint", sa.String(64), nullable=False),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("enqueued_at", _TIME),
        sa.Column("started_at", _TIME),
        sa.Column("heartbeat_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("step", sa.String(64)),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text),
        sa.Column("results", sa.JSON, nullable=False),
        sa.UniqueConstraint("pipeline", "bundle_sha256", "input_fingerprint", name="uq_job_input"),
    )
    op.create_index("ix_job_study_instance_uid", "job", ["study_instance_uid"])
    op.create_index("ix_job_state", "job", ["state"])
    op.create_index("ix_job_created_at", "job", ["created_at"])
    op.create_table(
        "worker",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("beat_at", _TIME, nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    for table in ("worker", "job", "instance", "study"):
        op.drop_table(table)
