"""The tables of a system that sold minutes, as they are found: `users`, `subscriptions`, `monthly_usage`. Only read.

Columns that such a system may lack are read as nothing. Times may be seconds or milliseconds since 1970, or dates.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from tollhouse.billing.model import LIVE_STATUSES
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store import Row, Sql, Tx, Value

PREFIX = "legacy_"
FREE = "free"
"""What whoever is named with no plan is on, and who has subscriptions that have all ended."""
_MILLISECONDS = 100_000_000_000
_WHOLE = ("int", "serial")
_TEXT = ("text", "char")

_COLUMNS_SQLITE = Sql("select name, lower(type) as type from pragma_table_info(:name)")
_COLUMNS_POSTGRES = Sql(
    "select column_name as name, lower(data_type) as type from information_schema.columns"
    " where table_schema = current_schema() and table_name = :name"
)


class OldSubscription(msgspec.Struct, frozen=True):
    """A subscription as the old system had it. Times in ms."""

    plan: str
    status: str
    stripe_id: str | None
    price: str | None
    period_start: int | None
    period_end: int | None
    created_at: int | None
    canceling: bool

    @property
    def live(self) -> bool:
        return self.status in LIVE_STATUSES


class OldUser(msgspec.Struct, frozen=True):
    """One user of the old system. `minutes`: what it used this month; `subscription`: a live one, where it has one."""

    id: str
    email: str
    name: str
    locale: str
    created_at: int | None
    plan: str
    stripe_customer: str | None
    subscription: OldSubscription | None = None
    minutes: str | None = None


class _Table(msgspec.Struct, frozen=True):
    """A table and the columns that it has, with their types."""

    name: str
    columns: dict[str, str]

    def text(self, alias: str, *names: str) -> str:
        """The first of these columns that it has, as text."""
        found = next((name for name in names if name in self.columns), None)
        return f"cast({alias}.{found} as text)" if found else "null"

    def key(self, alias: str, name: str) -> str:
        """A column to go through in order: as it is where that uses its index."""
        kind = self.columns[name]
        plain = any(part in kind for part in (*_WHOLE, *_TEXT))
        return f"{alias}.{name}" if plain else f"cast({alias}.{name} as text)"


class OldTables:
    """What was found, and the statements that read it. `count`: how many users there are."""

    def __init__(self, users: _Table, subscriptions: _Table | None, usage: _Table | None, count: int) -> None:
        self.count = count
        self.whole_ids = any(part in users.columns["id"] for part in _WHOLE)
        self._users = _users_statement(users)
        self._plans = _plans_statement(users, subscriptions)
        self._prices = _prices_statement(subscriptions)
        self._subscriptions = _subscriptions_statement(subscriptions) if subscriptions is not None else None
        self._usage = _usage_statement(usage) if usage is not None else None

    async def users_after(self, tx: Tx, after: str | None, most: int, month: str) -> list[OldUser]:
        """The next users whose id is nobody's `external_id` yet. `month`: `2025-10`, whose minutes are read."""
        rows = await tx.fetch(self._users, after=self._place(after), most=most)
        if not rows:
            return []
        span: dict[str, Value] = {"first": self._place(rows[0]["id"]), "last": self._place(rows[-1]["id"])}
        subscriptions: dict[str, list[OldSubscription]] = {}
        if self._subscriptions is not None:
            for row in await tx.fetch(self._subscriptions, **span):
                subscriptions.setdefault(row["user_id"], []).append(_subscription(row))
        used: dict[str, str] = {}
        if self._usage is not None:
            used = {row["user_id"]: row["minutes"] for row in await tx.fetch(self._usage, **span, month=month)}
        return [_user(row, subscriptions.get(row["id"], []), used.get(row["id"])) for row in rows]

    async def plans(self, tx: Tx) -> dict[str, int]:
        """The names of plans that somebody is on or pays for, and how many there are of each."""
        return {row["plan"]: int(row["number"]) for row in await tx.fetch(self._plans)}

    async def prices(self, tx: Tx) -> list[tuple[str, str]]:
        """(plan, Stripe's price) of the live subscriptions, as far as prices were kept."""
        if self._prices is None:
            return []
        return [(row["plan"], row["price"]) for row in await tx.fetch(self._prices)]

    def _place(self, after: str | None) -> int | str:
        if self.whole_ids:
            return -(1 << 62) if after is None else int(after)
        return after or ""


async def find_old_tables(tx: Tx) -> OldTables:
    """Raises ConfigurationError when there are none, or when users have no id or e-mail address."""
    users = await _table(tx, f"{PREFIX}users")
    if users is None:
        raise ConfigurationError(
            f"this database has no table {PREFIX}users: no other system had its users here before `tollhouse db upgrade`",
            setting="DATABASE_URL",
            fix="run `tollhouse db upgrade` on the database that holds the old tables, or copy them into this one"
            f" ({PREFIX}users, subscriptions, monthly_usage)",
        )
    for needed in ("id", "email"):
        if needed not in users.columns:
            raise ConfigurationError(
                f"the table {users.name} has no column {needed}",
                setting="DATABASE_URL",
                fix=f"add {needed} to {users.name}, or rename the column that holds it",
            )
    subscriptions = await _table(tx, f"{PREFIX}subscriptions") or await _table(tx, "subscriptions")
    usage = await _table(tx, f"{PREFIX}monthly_usage") or await _table(tx, "monthly_usage")
    row = await tx.fetch_one(Sql(f"select count(*) as number from {users.name}"))
    return OldTables(
        users,
        _with(subscriptions, ("user_id", "plan", "status")),
        _with(usage, ("user_id", "month")),
        int(row["number"]) if row is not None else 0,
    )


async def _table(tx: Tx, name: str) -> _Table | None:
    statement = _COLUMNS_SQLITE if tx.dialect == "sqlite" else _COLUMNS_POSTGRES
    columns = {row["name"]: row["type"] for row in await tx.fetch(statement, name=name)}
    return _Table(name, columns) if columns else None


def _with(table: _Table | None, needed: Iterable[str]) -> _Table | None:
    return table if table is not None and all(name in table.columns for name in needed) else None


def _users_statement(users: _Table) -> Sql:
    key, name = users.key("u", "id"), users.text("u", "id")
    return Sql(
        f"select {name} as id, u.email as email, {users.text('u', 'name')} as name,"
        f" {users.text('u', 'locale', 'language')} as locale, {users.text('u', 'plan')} as plan,"
        f" {users.text('u', 'created_at')} as created_at, {users.text('u', 'stripe_customer_id')} as stripe_customer"
        f" from {users.name} u where {key} > :after and not exists"
        f" (select 1 from customer_name n where n.kind = 'external' and n.name = {name}) order by {key} limit :most"
    )


_LIVE = "status in (" + ", ".join(f"'{status}'" for status in sorted(LIVE_STATUSES)) + ")"


def _plans_statement(users: _Table, subscriptions: _Table | None) -> Sql:
    plan = f"coalesce(nullif({users.text('u', 'plan')}, ''), '{FREE}')"
    named = f"select {users.text('u', 'id')} as id, {plan} as plan from {users.name} u"
    if subscriptions is not None:  # whoever is named by both counts once
        of = subscriptions.text("s", "user_id")
        named += f" union select {of} as id, s.plan as plan from {subscriptions.name} s where s.{_LIVE}"
    return Sql(f"select plan, count(*) as number from ({named}) as named group by plan order by plan")


def _prices_statement(subscriptions: _Table | None) -> Sql | None:
    if subscriptions is None or "stripe_price_id" not in subscriptions.columns:
        return None
    return Sql(
        f"select distinct s.plan, s.stripe_price_id as price from {subscriptions.name} s"
        f" where s.{_LIVE} and s.stripe_price_id is not null order by s.plan, s.stripe_price_id"
    )


def _subscriptions_statement(table: _Table) -> Sql:
    key = table.key("s", "user_id")
    return Sql(
        f"select {table.text('s', 'user_id')} as user_id, s.plan as plan, s.status as status,"
        f" {table.text('s', 'stripe_subscription_id')} as stripe_id, {table.text('s', 'stripe_price_id')} as price,"
        f" {table.text('s', 'current_period_start')} as period_start,"
        f" {table.text('s', 'current_period_end')} as period_end, {table.text('s', 'created_at')} as created_at,"
        f" {table.text('s', 'cancel_at_period_end')} as canceling"
        f" from {table.name} s where {key} >= :first and {key} <= :last order by {key}"
    )


def _usage_statement(table: _Table) -> Sql:
    key = table.key("m", "user_id")
    minutes = table.text("m", "total_minutes_used", "minutes_used", "total_minutes")
    return Sql(
        f"select {table.text('m', 'user_id')} as user_id, {minutes} as minutes from {table.name} m"
        f" where {key} >= :first and {key} <= :last and m.month = :month and {minutes} is not null"
    )


def _subscription(row: Row) -> OldSubscription:
    return OldSubscription(
        row["plan"], row["status"], row["stripe_id"], row["price"], moment(row["period_start"]),
        moment(row["period_end"]), moment(row["created_at"]), str(row["canceling"]).lower() in ("1", "true", "t"),
    )  # fmt: skip


def _user(row: Row, subscriptions: list[OldSubscription], minutes: str | None) -> OldUser:
    live = next((found for found in subscriptions if found.live), None)
    named = row["plan"] or FREE
    # Whoever had a subscription that has ended is on no paid plan any more, whatever the user's row still says.
    plan = live.plan if live is not None else FREE if subscriptions else named
    return OldUser(
        row["id"], row["email"] or "", row["name"] or "", row["locale"] or "", moment(row["created_at"]), plan,
        row["stripe_customer"] or None, live, minutes,
    )  # fmt: skip


def moment(text: str | None) -> int | None:
    """A time in ms, from seconds or milliseconds since 1970 or from a date; None for what is no time."""
    if not text:
        return None
    whole = text.strip().partition(".")[0]
    if whole.isascii() and whole.isdigit() and len(whole) < 15:
        return int(whole) if int(whole) >= _MILLISECONDS else int(whole) * 1000
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
