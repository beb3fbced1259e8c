"""The role of each input of a job, and the options that it was asked with."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("roles", sa.JSON))
    op.add_column("job", sa.Column("options", sa.JSON))


def downgrade() -> None:
    op.drop_column("job", "options")
    op.drop_column("job", "roles")
