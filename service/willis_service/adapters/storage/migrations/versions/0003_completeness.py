"""What became of each study that was routed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "study_outcome",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("images_fingerprint", sa.String(64), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decisions", sa.JSON, nullable=False),
    )
    op.create_index("ix_study_outcome_code", "study_outcome", ["code"])


def downgrade() -> None:
    op.drop_table("study_outcome")
