"""The delivery ledger, retraction, and what retention removed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_JOB_COLUMNS = (
    ("delivery_planned_for", _TIME),
    ("retracted_at", _TIME),
    ("retraction_reason", sa.Text()),
    ("results_purged_at", _TIME),
)


def upgrade() -> None:
    for name, kind in _JOB_COLUMNS:
        op.add_column("job", sa.Column(name, kind))
    op.add_column("instance", sa.Column("purged_at", _TIME))
    op.create_index(
        "ix_instance_purged_at",
        "instance",
        ["purged_at"],
        sqlite_where=sa.text("purged_at IS NOT NULL"),
        postgresql_where=sa.text("purged_at IS NOT NULL"),
    )
    op.add_column("study", sa.Column("instances_purged_at", _TIME))
    op.create_index("ix_study_last_instance_at", "study", ["last_instance_at"])
    op.create_table(
        "delivery",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("job_id", sa.String(32), sa.ForeignKey("job.id"), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("planned_at", _TIME, nullable=False),
        sa.Column("next_attempt_at", _TIME, nullable=False),
        sa.Column("attempted_at", _TIME),
        sa.Column("sent_at", _TIME),
        sa.Column("committed_at", _TIME),
        sa.Column("courier", sa.String(64)),
        sa.Column("leased_until", _TIME),
        sa.Column("may_be_there", sa.Boolean, nullable=False),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text),
        sa.Column("transaction_uid", sa.String(64)),
        sa.Column("commitment_due_at", _TIME),
        sa.UniqueConstraint(
            "job_id", "destination", "kind", "object_id", name="uq_delivery_object"
        ),
    )
    op.create_index("ix_delivery_job_id", "delivery", ["job_id"])
    op.create_index("ix_delivery_transaction_uid", "delivery", ["transaction_uid"])
    op.create_index("ix_delivery_state", "delivery", ["state"])
    op.create_index(
        "ix_job_unplanned",
        "job",
        ["published_at"],
        sqlite_where=sa.text("delivery_planned_for IS NOT published_at"),
        postgresql_where=sa.text("delivery_planned_for IS DISTINCT FROM published_at"),
    )
    op.create_index("ix_delivery_due", "delivery", ["destination", "state", "next_attempt_at"])


def downgrade() -> None:
    op.drop_index("ix_job_unplanned", "job")
    op.drop_table("delivery")
    op.drop_index("ix_study_last_instance_at", "study")
    op.drop_column("study", "instances_purged_at")
    op.drop_index("ix_instance_purged_at", "instance")
    op.drop_column("instance", "purged_at")
    for name, _kind in reversed(_JOB_COLUMNS):
        op.drop_column("job", name)
