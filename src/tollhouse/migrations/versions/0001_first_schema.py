"""The first schema"""

# reason for length: one migration makes every table of the first version. The text of `save_batch_1` never changes:
# another one gets another number.

import sqlalchemy as sa
from alembic import op

from tollhouse.admission.procedures import DROP_SAVE_BATCH, SAVE_BATCH

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=80), server_default="", nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next_due", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("length(state) <= 8192", name=op.f("ck_account_state_size")),
        sa.CheckConstraint("version >= 0", name=op.f("ck_account_version")),
        sa.PrimaryKeyConstraint("cell", "customer", "scope", name=op.f("pk_account")),
    )
    op.create_index(
        "ix_account_next_due",
        "account",
        ["next_due"],
        unique=False,
        sqlite_where=sa.text("next_due is not null"),
        postgresql_where=sa.text("next_due is not null"),
    )
    op.create_table(
        "checkout_session",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("price", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("expired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_checkout_session")),
    )
    op.create_index("ix_checkout_session_id", "checkout_session", ["id"], unique=False)
    op.create_table(
        "customer",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("city", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("made_by", sa.String(length=10), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("made_by in ('api', 'pages', 'staff')", name=op.f("ck_customer_made_by")),
        sa.PrimaryKeyConstraint("cell", "id", name=op.f("pk_customer")),
    )
    op.create_index("ix_customer_created_at", "customer", ["created_at"], unique=False)
    op.create_table(
        "customer_name",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("name", sa.String(length=254), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.CheckConstraint("kind in ('external', 'email')", name=op.f("ck_customer_name_kind")),
        sa.PrimaryKeyConstraint("kind", "name", name=op.f("pk_customer_name")),
    )
    op.create_index("ix_customer_name_customer", "customer_name", ["customer"], unique=False)
    op.create_table(
        "email_token",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_email_token")),
    )
    op.create_index("ix_email_token_user", "email_token", ["user_id"], unique=False)
    op.create_table(
        "entry",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("moves", sa.Text(), nullable=False),
        sa.Column("remaining", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.CheckConstraint("remaining >= 0", name=op.f("ck_entry_remaining")),
        sa.CheckConstraint("used >= 0", name=op.f("ck_entry_used")),
        sa.PrimaryKeyConstraint("cell", "customer", "seq", name=op.f("pk_entry")),
    )
    op.create_index(
        "ix_entry_target",
        "entry",
        ["cell", "customer", "target"],
        unique=False,
        sqlite_where=sa.text("target is not null"),
        postgresql_where=sa.text("target is not null"),
    )
    op.create_table(
        "hold",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("on_expiry", sa.String(length=10), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_amount", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "seq", name=op.f("pk_hold")),
    )
    op.create_index(
        "ix_hold_open",
        "hold",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("operation", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cell", "customer", "operation", "key", name=op.f("pk_idempotency_key")),
    )
    op.create_table(
        "inbox",
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("claim", sa.String(length=40), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("status in ('pending', 'done', 'parked')", name=op.f("ck_inbox_status")),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_inbox")),
    )
    op.create_index(
        "ix_inbox_pending",
        "inbox",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_inbox_subject", "inbox", ["source", "subject", "status"], unique=False)
    op.create_table(
        "invoice",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.String(length=100), nullable=True),
        sa.Column("subscription", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_due_minor", sa.BigInteger(), nullable=False),
        sa.Column("amount_paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("page_url", sa.Text(), nullable=True),
        sa.Column("pdf_url", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_invoice")),
    )
    op.create_table(
        "lease",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("slots", sa.Text(), nullable=False),
        sa.Column("ttl_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_beat", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "seq", name=op.f("pk_lease")),
    )
    op.create_index(
        "ix_lease_open",
        "lease",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "lot",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("meter", sa.String(length=40), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("paid_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("amount > 0", name=op.f("ck_lot_amount")),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_lot")),
    )
    op.create_table(
        "member",
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "customer", name=op.f("pk_member")),
    )
    op.create_index("ix_member_customer", "member", ["customer"], unique=False)
    op.create_table(
        "meter_definition",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meter_definition")),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("fact", sa.String(length=60), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger(), nullable=True),
        sa.Column("claim", sa.String(length=40), nullable=True),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("parked_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("done_at is null and parked_at is null"),
        postgresql_where=sa.text("done_at is null and parked_at is null"),
    )
    op.create_table(
        "payment_attempts",
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("times", sa.Text(), nullable=False),
        sa.Column("forget_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_payment_attempts")),
    )
    op.create_index("ix_payment_attempts_forget_at", "payment_attempts", ["forget_at"], unique=False)
    op.create_table(
        "period_grant",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("subscription", sa.String(length=255), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("period_end", sa.BigInteger(), nullable=False),
        sa.Column("month", sa.SmallInteger(), nullable=False),
        sa.Column("invoice", sa.String(length=255), nullable=False),
        sa.Column("line", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "cell", "customer", "subscription", "plan", "period_end", "month", name=op.f("pk_period_grant")
        ),
    )
    op.create_table(
        "plan_version",
        sa.Column("plan", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("plan", "version", name=op.f("pk_plan_version")),
        sa.UniqueConstraint("plan", "content_hash", name=op.f("uq_plan_version_plan_content_hash")),
    )
    op.create_table(
        "project",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_project")),
    )
    op.create_table(
        "project_key",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("project", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_project_key")),
    )
    op.create_index("ix_project_key_project", "project_key", ["project"], unique=False)
    op.create_table(
        "refusal",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("cell", "customer", "minute", "action", "reason", name=op.f("pk_refusal")),
    )
    op.create_table(
        "secret_key",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_key")),
        sa.UniqueConstraint("digest", name=op.f("uq_secret_key_digest")),
    )
    op.create_table(
        "secret_key_change",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_secret_key_change_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secret_key_change")),
    )
    op.create_table(
        "session",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    op.create_index("ix_session_user", "session", ["user_id"], unique=False)
    op.create_table(
        "stripe_customer",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.Column("sync_seq", sa.BigInteger(), nullable=False),
        sa.Column("synced_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_customer")),
        sa.UniqueConstraint("customer", name=op.f("uq_stripe_customer_customer")),
    )
    op.create_index("ix_stripe_customer_due_at", "stripe_customer", ["due_at"], unique=False)
    op.create_table(
        "stripe_price",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("product", sa.String(length=255), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("lookup_key", sa.String(length=200), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_price")),
    )
    op.create_table(
        "subscription",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=30), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("price", sa.String(length=255), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("period_start", sa.BigInteger(), nullable=False),
        sa.Column("period_end", sa.BigInteger(), nullable=False),
        sa.Column("cancel_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("second_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_subscription")),
    )
    op.create_table(
        "test_clock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_test_clock_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_clock")),
    )
    op.create_table(
        "tool_session",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("user", sa.String(length=40), nullable=False),
        sa.Column("tool", sa.String(length=80), nullable=False),
        sa.Column("admission", sa.String(length=60), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_tool_session")),
    )
    op.create_index("uq_tool_session_admission", "tool_session", ["cell", "customer", "admission"], unique=True)
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("locale", sa.String(length=10), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("staff_role", sa.String(length=20), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("alter table account set (fillfactor = 40)")
        op.execute(SAVE_BATCH)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(DROP_SAVE_BATCH)
    op.drop_table("users")
    op.drop_index("uq_tool_session_admission", table_name="tool_session")
    op.drop_table("tool_session")
    op.drop_table("test_clock")
    op.drop_table("subscription")
    op.drop_table("stripe_price")
    op.drop_index("ix_stripe_customer_due_at", table_name="stripe_customer")
    op.drop_table("stripe_customer")
    op.drop_index("ix_session_user", table_name="session")
    op.drop_table("session")
    op.drop_table("secret_key_change")
    op.drop_table("secret_key")
    op.drop_table("refusal")
    op.drop_index("ix_project_key_project", table_name="project_key")
    op.drop_table("project_key")
    op.drop_table("project")
    op.drop_table("plan_version")
    op.drop_table("period_grant")
    op.drop_index("ix_payment_attempts_forget_at", table_name="payment_attempts")
    op.drop_table("payment_attempts")
    op.drop_index(
        "ix_outbox_pending",
        table_name="outbox",
        sqlite_where=sa.text("done_at is null and parked_at is null"),
        postgresql_where=sa.text("done_at is null and parked_at is null"),
    )
    op.drop_table("outbox")
    op.drop_table("meter_definition")
    op.drop_index("ix_member_customer", table_name="member")
    op.drop_table("member")
    op.drop_table("lot")
    op.drop_index(
        "ix_lease_open",
        table_name="lease",
        sqlite_where=sa.text("ended_at is null"),
        postgresql_where=sa.text("ended_at is null"),
    )
    op.drop_table("lease")
    op.drop_table("invoice")
    op.drop_index("ix_inbox_subject", table_name="inbox")
    op.drop_index(
        "ix_inbox_pending",
        table_name="inbox",
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.drop_table("inbox")
    op.drop_table("idempotency_key")
    op.drop_index(
        "ix_hold_open",
        table_name="hold",
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.drop_table("hold")
    op.drop_index(
        "ix_entry_target",
        table_name="entry",
        sqlite_where=sa.text("target is not null"),
        postgresql_where=sa.text("target is not null"),
    )
    op.drop_table("entry")
    op.drop_index("ix_email_token_user", table_name="email_token")
    op.drop_table("email_token")
    op.drop_index("ix_customer_name_customer", table_name="customer_name")
    op.drop_table("customer_name")
    op.drop_index("ix_customer_created_at", table_name="customer")
    op.drop_table("customer")
    op.drop_index("ix_checkout_session_id", table_name="checkout_session")
    op.drop_table("checkout_session")
    op.drop_index(
        "ix_account_next_due",
        table_name="account",
        sqlite_where=sa.text("next_due is not null"),
        postgresql_where=sa.text("next_due is not null"),
    )
    op.drop_table("account")
