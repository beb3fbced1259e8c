"""Lanes, leases, editions of results, and notices."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    for column in _new_columns():
        op.add_column("job", column)
    op.add_column(
        "worker", sa.Column("role", sa.String(16), nullable=False, server_default="worker")
    )
    # What was there before lies in the job's folder itself, and was written by its last attempt.
    op.execute("UPDATE job SET token = attempts, asked_at = created_at")
    op.execute("UPDATE job SET edition = '.' WHERE CAST(results AS TEXT) <> '[]'")
    op.execute("UPDATE job SET published_at = finished_at WHERE edition IS NOT NULL")


def downgrade() -> None:
    op.drop_column("worker", "role")
    for column in reversed(_new_columns()):
        op.drop_column("job", column.name)


def _new_columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("priority", sa.String(16), nullable=False, server_default="routine"),
        sa.Column("predecessor_id", sa.String(32)),
        sa.Column("successor_id", sa.String(32)),
        sa.Column("token", sa.Integer, nullable=False, server_default="0"),
        sa.Column("ran_s", sa.Float, nullable=False, server_default="0"),
        sa.Column("asked_at", _TIME),
        sa.Column("again_at", _TIME),
        sa.Column("edition", sa.String(64)),
        sa.Column("published_at", _TIME),
        sa.Column("notice_code", sa.String(64)),
        sa.Column("notice_tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("timings_s", sa.JSON, nullable=False, server_default="{}"),
    )
