"""The PDF of each paid invoice, and what of it was given back"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invoice", sa.Column("refunded_minor", sa.BigInteger(), nullable=True))
    op.add_column("invoice", sa.Column("credited_minor", sa.BigInteger(), nullable=True))
    op.create_table(
        "invoice_file",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("invoice", sa.String(length=255), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("receipt_by", sa.BigInteger(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("pdf", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "invoice", name=op.f("pk_invoice_file")),
    )
    op.create_index("ix_invoice_file_due_at", "invoice_file", ["due_at"])
    # What was paid before: its PDF is fetched, and nobody gets a receipt for it.
    op.execute(
        "insert into invoice_file (cell, customer, invoice, due_at, attempts)"
        " select cell, customer, id, 0, 0 from invoice where status = 'paid'"
        " and coalesce(net_minor + tax_minor, amount_due_minor) <> 0"
    )


def downgrade() -> None:
    op.drop_index("ix_invoice_file_due_at", table_name="invoice_file")
    op.drop_table("invoice_file")
    for name in ("credited_minor", "refunded_minor"):
        op.drop_column("invoice", name)
