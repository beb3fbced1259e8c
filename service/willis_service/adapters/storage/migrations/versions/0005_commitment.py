"""Storage commitment requests, and the headers that a search needs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_UID = sa.String(64)
_MATCHED = ("patient_id", "accession_number", "study_date")


# Studies that were received before they were counted.
_COUNT_STUDIES = """
UPDATE study SET
    instance_count = (SELECT COUNT(*) FROM instance
        WHERE instance.study_instance_uid = study.study_instance_uid),
    size_bytes = (SELECT COALESCE(SUM(size_bytes), 0) FROM instance
        WHERE instance.study_instance_uid = study.study_instance_uid)
"""


def upgrade() -> None:
    op.add_column(
        "study", sa.Column("instance_count", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column(
        "study", sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute(_COUNT_STUDIES)
    op.create_table(
        "study_header",
        sa.Column("study_instance_uid", _UID, primary_key=True),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("patient_name", sa.Text, nullable=False),
        sa.Column("accession_number", sa.Text, nullable=False),
        sa.Column("study_date", sa.Text, nullable=False),
        sa.Column("study_description", sa.Text, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    for column in _MATCHED:
        op.create_index(f"ix_study_header_{column}", "study_header", [column])
    op.create_index("ix_study_first_received_at", "study", ["first_received_at"])
    op.create_table(
        "series_header",
        sa.Column("study_instance_uid", _UID, primary_key=True),
        sa.Column("series_instance_uid", _UID, primary_key=True),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("series_description", sa.Text, nullable=False),
        sa.Column("series_number", sa.Text, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_table(
        "result_header",
        sa.Column("job_id", sa.String(32), primary_key=True),
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("edition", sa.String(64), nullable=False),
        sa.Column("study_instance_uid", _UID, nullable=False),
        sa.Column("series_instance_uid", _UID, nullable=False),
        sa.Column("sop_instance_uid", _UID, nullable=False),
        sa.Column("sop_class_uid", _UID, nullable=False),
        sa.Column("transfer_syntax_uid", _UID, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("series_description", sa.Text, nullable=False),
        sa.Column("series_number", sa.Text, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
    )
    op.create_index("ix_result_header_study_instance_uid", "result_header", ["study_instance_uid"])
    op.create_table(
        "commitment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("requester", sa.String(16), nullable=False),
        sa.Column("transaction_uid", _UID, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("objects", sa.JSON, nullable=False),
        sa.Column("received_at", _TIME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", _TIME),
        sa.Column("finished_at", _TIME),
        sa.UniqueConstraint("requester", "transaction_uid", name="uq_commitment_transaction"),
    )
    op.create_index("ix_commitment_state", "commitment", ["state"])


def downgrade() -> None:
    op.drop_column("study", "size_bytes")
    op.drop_column("study", "instance_count")
    op.drop_index("ix_commitment_state", "commitment")
    op.drop_table("commitment")
    op.drop_index("ix_result_header_study_instance_uid", "result_header")
    op.drop_table("result_header")
    op.drop_table("series_header")
    op.drop_index("ix_study_first_received_at", "study")
    for column in _MATCHED:
        op.drop_index(f"ix_study_header_{column}", "study_header")
    op.drop_table("study_header")
