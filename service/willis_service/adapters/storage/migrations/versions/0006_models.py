"""Which version of a model is live or in shadow, and how far a shadow is from the live one."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_SHA256 = sa.String(64)


def upgrade() -> None:
    op.create_table(
        "model_decision",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("version", sa.String(32)),
        sa.Column("sha256", _SHA256),
        sa.Column("before_version", sa.String(32)),
        sa.Column("before_sha256", _SHA256),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", _TIME, nullable=False),
    )
    op.create_index("ix_model_decision_pipeline", "model_decision", ["pipeline"])
    op.create_table(
        "shadow_run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("pipeline", sa.String(64), nullable=False),
        sa.Column("live_version", sa.String(32), nullable=False),
        sa.Column("live_sha256", _SHA256, nullable=False),
        sa.Column("candidate_version", sa.String(32), nullable=False),
        sa.Column("candidate_sha256", _SHA256, nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("live_status", sa.String(16), nullable=False),
        sa.Column("live_s", sa.Float, nullable=False),
        sa.Column("candidate_status", sa.String(16)),
        sa.Column("candidate_s", sa.Float),
        sa.Column("error_code", sa.String(64)),
        sa.Column("score_changes", sa.JSON, nullable=False),
        sa.Column("changed_states", sa.Integer),
        sa.Column("dice", sa.JSON, nullable=False),
        sa.UniqueConstraint("job_id", "candidate_sha256", name="uq_shadow_run"),
    )
    op.create_index("ix_shadow_run_pipeline", "shadow_run", ["pipeline"])
