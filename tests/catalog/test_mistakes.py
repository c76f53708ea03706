"""Every mistake in a catalogue is told with its line, its key and its fix, all of them at once."""

from pathlib import Path

import pytest

from tests.catalog.files import RIGHT, catalog_in, problems_in, write
from tollhouse.catalog import load_catalog, load_configuration
from tollhouse.settings import ConfigurationProblems, Problem, read_settings
from tollhouse.settings.toml import parse_document

# What is replaced in the right file, by what, the key that is named, and a word of the message.
MISTAKES = [
    # unknown names
    ("limits = { sessions = 5000 }", "limit = { sessions = 5000 }", "plans.starter.limit", "did you mean limits?"),
    ("minutes_each = 2", "minute_each = 2", "meters.sessions.minute_each", "did you mean minutes_each?"),
    ("[actions.realtime", "[action.realtime", "action", "did you mean actions?"),
    ("cost = { sessions = 1 }", "cost = { session = 1 }", "actions.realtime_session.cost.session", "did you mean sessions"),
    ("limits = { sessions = 5000", "limits = { seats = 5000", "plans.starter.limits.seats", "unknown meter"),
    ("[plans.starter]", "[plans.Starter]", "plans.Starter", "rename it, for example to starter"),
    ("[plans.starter]", f"[plans.{'x' * 41}]", f"plans.{'x' * 41}", "1 to 40"),
    # kinds and durations
    ('kind = "quota"', 'kind = "quote"', "meters.sessions.kind", 'write kind = "quota"'),
    ('kind = "quota", ', "", "meters.sessions.kind", "add kind to meters.sessions"),
    ('period = "month"', 'period = "fortnight"', "meters.sessions.period", '"day", "week", "month" or "year"'),
    ('ttl = "90s"', "ttl = 90", "meters.concurrent.ttl", 'found 90 without a unit'),
    ('ttl = "90s"', 'ttl = "90"', "meters.concurrent.ttl", '"90s", "15m" or "48h"'),
    ('ttl = "90s"', 'ttl = "2s"', "meters.concurrent.ttl", "from 5s to 24h"),
    (', ttl = "90s"', "", "meters.concurrent.ttl", "found nothing"),
    ('per = "minute"', 'per = "moment"', "meters.requests.per", 'write per = "minute"'),
    ('per = "minute"', 'per = "500ms"', "meters.requests.per", "from 1s to 24h"),
    ('answer_within = "48h"', 'answer_within = "two days"', "plans.starter.support.answer_within", "48h"),
    ('"email", answer', '"mail", answer', "plans.starter.support.channel", 'write channel = "email"'),
    ('answer_within = "48h"', "sla = 101", "plans.starter.support.sla", "write sla = 99.9"),
    # decimals and amounts
    ("decimals = 3", "decimals = 7", "meters.credits.decimals", "from 0 to 6"),
    ('kind = "count"', 'kind = "count", decimals = 2', "meters.projects.decimals", "a count counts whole things"),
    ("{ credits = 100 }", "{ credits = 0.1234 }", "plans.free.credits.credits", "give the meter credits decimals = 4"),
    ("{ sessions = 5000 }", "{ sessions = 0.5 }", "plans.starter.limits.sessions", "give the meter sessions decimals = 1"),
    ("concurrent = 1,", "concurrent = 1.5,", "plans.free.limits.concurrent", "write a whole number"),
    ("{ sessions = 5000 }", "{ sessions = -1 }", "plans.starter.limits.sessions", "write 0 or more"),
    ("{ sessions = 5000 }", f"{{ sessions = {2**53} }}", "plans.starter.limits.sessions", 'write "unlimited"'),
    ("{ credits = 100 }", f"{{ credits = {2**53 // 1000 + 1} }}", "plans.free.credits.credits", "at most 9007199254740.991"),
    ("{ sessions = 5000 }", "{ sessions = inf }", "plans.starter.limits.sessions", "at most"),
    ("{ sessions = 5000 }", "{ sessions = 1e400 }", "plans.starter.limits.sessions", "at most"),
    ("{ sessions = 5000 }", '{ sessions = "5000" }', "plans.starter.limits.sessions", 'a number or "unlimited"'),
    ("{ sessions = 5000 }", "{ sessions = true }", "plans.starter.limits.sessions", "write a number"),
    ("{ credits = 100 }", "{ credits = 0 }", "plans.free.credits.credits", "0.001 or more"),
    # meters of the wrong kind
    ("{ sessions = 5000 }", "{ credits = 5000 }", "plans.starter.limits.credits", "write credits = { credits = 5000 }"),
    ("{ credits = 1000 }", "{ sessions = 1000 }", "plans.starter.credits.sessions", "write limits = { sessions ="),
    ("{ credits = 1000 }", '{ credits = { amount = 5, mode = "top" } }', "plans.starter.credits.credits.mode", '"replace" or "add"'),
    ("{ credits = 1000 }", "{ credits = { amounts = 5 } }", "plans.starter.credits.credits.amounts", "did you mean amount?"),
    ("{ credits = 1000 }", '{ credits = { amount = 5, on_upgrade = "diff" } }', "plans.starter.credits.credits.on_upgrade", '"replace", "difference" or "none"'),
    ("{ credits = 1000 }", "{ credits = { amount = 5, on_upgrade = false } }", "plans.starter.credits.credits.on_upgrade", 'write on_upgrade = "replace"'),
    ("{ credits = 100 }", '{ credits = { amount = 5, on_upgrade = "none" } }', "plans.free.credits", "neither moved up to nor renewed"),
    ("{ credits = 100 }", "{ credits = { amount = 5, rollover = 5 } }", "plans.free.credits", "the plans that are paid for"),
    ("{ credits = 1000 }", '{ credits = { amount = 5, rollover = "all" } }', "plans.starter.credits.credits.rollover", 'a number or "unlimited"'),
    ("{ credits = 1000 }", "{ credits = { amount = 5, rollover = -1 } }", "plans.starter.credits.credits.rollover", "write 0 or more"),
    ("{ credits = 1000 }", "{ credits = { amount = 5, rollover = 0.1234 } }", "plans.starter.credits.credits.rollover", "decimals = 4"),
    ("{ credits = 1000 }", '{ credits = { amount = 5, mode = "add", rollover = 1 } }', "plans.starter.credits.credits.rollover", "what is added stays anyway"),
    # actions
    ("cost = { sessions = 1 }", "cost = {}", "actions.realtime_session.cost", "an empty table"),
    ("cost = { sessions = 1 }", "", "actions.realtime_session.cost", "found nothing"),
    ("cost = { sessions = 1 }", "cost = { sessions = 0 }", "actions.realtime_session.cost.sessions", "write 1 or more"),
    ("cost = { sessions = 1 }", "cost = { sessions = -3 }", "actions.realtime_session.cost.sessions", "found -3"),
    ("cost = { sessions = 1 }", "cost = { concurrent = 2 }", "actions.realtime_session.cost.concurrent", "write concurrent = 1"),
    ("{ sessions = 1 }\n", '{ sessions = 1 }\npriced_by = ["credits"]\n', "actions.realtime_session.priced_by", "name a meter of its cost: sessions"),
    ("{ sessions = 1 }\n", '{ sessions = 1 }\npriced_by = "me"\n', "actions.realtime_session.priced_by", 'priced_by = "caller"'),
    # prices
    ("amount = 2900", "amount = -5", "plans.starter.prices[0].amount", "a whole number of minor units, 0 or more"),
    ("amount = 2900", "amount = 29.99", "plans.starter.prices[0].amount", "write 2999 for 29.99 usd"),
    ("amount = 2900", "amount = 29.999", "plans.starter.prices[0].amount", "minor units (cents)"),
    ("amount = 2900", 'amount = "29"', "plans.starter.prices[0].amount", "a whole number"),
    ("amount = 2900", "amount = 100_000_000", "plans.starter.prices[0].amount", "99999999"),
    ('amount = 2900, currency = "usd"', 'amount = 29050, currency = "ugx"', "plans.starter.prices[0].amount", "write 2905000 for"),
    ('currency = "usd"', 'currency = "usb"', "plans.starter.prices[0].currency", "ISO 4217"),
    ('currency = "usd"', 'currency = "kwd"', "plans.starter.prices[0].currency", "two decimals, or none"),
    (', currency = "usd"', "", "plans.starter.prices[0].currency", "add currency"),
    ('every = "month"', 'every = "week"', "plans.starter.prices[0].every", '"month" or "year"'),
    ('every = "month"', 'every = "month", stripe_price = "prod_1"', "plans.starter.prices[0].stripe_price", "price id"),
    ('every = "month"', 'every = "month", lookup_key = "a b"', "plans.starter.prices[0].lookup_key", "letters, digits"),
    ('every = "month" }', 'every = "month" }, { amount = 3, currency = "usd", every = "month" }', "plans.starter.prices", "two prices in usd for a month"),
    ('prices = [{ amount = 2900, currency = "usd", every = "month" }]', "", "plans.starter", "contact_only = true"),
    # the free plan
    ("[plans.free]", "[plans.basic]", "plans.basic", "free = true"),
    ('prices = [{ amount = 2900, currency = "usd", every = "month" }]', "free = true", "plans.starter", "a second free plan besides free"),
    ("[plans.free]", '[plans.free]\nprices = [{ amount = 1, currency = "usd", every = "month" }]', "plans.free.prices", "prices on the free plan"),
    ("[plans.free]", "[plans.free]\nretired = true", "plans.free.retired", "a retired free plan"),
    # billing
    ("[plans.free]", "[biling]\n[plans.free]", "biling", "did you mean billing?"),
    ("[plans.free]", '[billing]\ngrace = 3\n[plans.free]', "billing.grace", 'write grace = "3s"'),
    ("[plans.free]", '[billing]\ngrace = "three days"\n[plans.free]', "billing.grace", 'a duration such as "3d"'),
    ("[plans.free]", '[billing]\ngrace = "61d"\n[plans.free]', "billing.grace", 'write grace = "60d" or less'),
    ("[plans.free]", "[billing]\nbalance_thresholds = 80\n[plans.free]", "billing.balance_thresholds", "whole numbers from 1"),
    ("[plans.free]", "[billing]\nbalance_thresholds = [0]\n[plans.free]", "billing.balance_thresholds", "from 1 to 99"),
    ("[plans.free]", '[billing]\ngrace_time = "3d"\n[plans.free]', "billing.grace_time", "did you mean grace?"),
    ("[plans.free]", '[billing]\non_refund = "take"\n[plans.free]', "billing.on_refund", '"keep" or "take_back"'),
    ("[plans.free]", "[billing]\nreceipts = 1\n[plans.free]", "billing.receipts", "true or false"),
    ("[plans.free]", '[billing]\nautomatic_tax = "yes"\n[plans.free]', "billing.automatic_tax", "true or false"),
    ("[plans.free]", '[billing]\nbilling_address = "always"\n[plans.free]', "billing.billing_address", '"auto" or "required"'),
    # the product
    ('name = "AI Gate"', 'nam = "AI Gate"', "product.nam", "did you mean name?"),
    ('name = "AI Gate"', 'name = ""', "product.name", "write name ="),
    ('name = "AI Gate"', 'name = "AI Gate"\nurl = "ai-gate.dev"', "product.url", "https://example.com"),
    ('name = "AI Gate"', 'name = "AI Gate"\ndefault_locale = "de"', "product.default_locale", '"en" or "fr"'),
    ('[product]\nname = "AI Gate"', "", "product", "nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "key", "says"), MISTAKES)
def test_a_mistake_is_told_where_it_stands(right: str, wrong: str, key: str, says: str) -> None:
    assert right in RIGHT
    text = RIGHT.replace(right, wrong, 1)
    told = [problem for problem in _all_problems(text) if problem.key == key]
    assert told, f"nothing was said of {key}"
    problem = told[0]
    assert says in str(problem)
    if key == "product":
        return
    assert problem.line is not None
    parts = [part.partition("[")[0] for part in key.split(".")]
    stands = parts[-2] if problem.found == "nothing" else parts[-1]
    assert stands in text.split("\n")[problem.line - 1]


def _all_problems(text: str) -> list[Problem]:
    from_catalog = problems_in(text)
    document = parse_document(text, "tollhouse.toml")
    more: list[Problem] = []
    read_settings(document, {}, more, purpose="plans")
    return [problem for problem in (*from_catalog, *more) if problem.severity == "error"]


def test_they_are_all_told_at_once_in_the_order_of_the_file() -> None:
    text = RIGHT
    for right, wrong in [
        ("minutes_each = 2", "minute_each = 2"),
        ('ttl = "90s"', "ttl = 90"),
        ("cost = { sessions = 1 }", "cost = { sesions = 1 }"),
        ("{ credits = 100 }", "{ credits = 0.1234 }"),
        ("amount = 2900", "amount = -5"),
        ('currency = "usd"', 'currency = "dollars"'),
        ('answer_within = "48h"', "answer_within = 48"),
    ]:
        text = text.replace(right, wrong, 1)

    told = problems_in(text)

    assert [(problem.line, problem.key) for problem in told] == [
        (5, "meters.sessions.minute_each"),
        (7, "meters.concurrent.ttl"),
        (12, "actions.realtime_session.cost.sesions"),
        (15, "plans.free.credits.credits"),
        (19, "plans.starter.prices[0].currency"),
        (19, "plans.starter.prices[0].amount"),
        (22, "plans.starter.support.answer_within"),
    ]
    assert str(told[5]) == (
        "tollhouse.toml:19: plans.starter.prices[0].amount: found -5; allowed: a whole number of minor units, 0 or more. "
        "fix: write a whole number from 0 to 99999999"
    )


def test_a_meter_that_is_wrong_itself_is_not_reported_again_wherever_it_is_used() -> None:
    told = problems_in(RIGHT.replace('kind = "quota"', 'kind = "quote"'))
    assert [problem.key for problem in told] == ["meters.sessions.kind"]


def test_settings_and_catalogue_are_told_together(tmp_path: Path) -> None:
    path = write(tmp_path, RIGHT.replace("amount = 2900", "amount = -5") + '\n[settings]\nlog_level = "loud"\n')
    with pytest.raises(ConfigurationProblems) as caught:
        load_configuration(path, {})
    assert [problem.key for problem in caught.value.problems] == [
        "plans.starter.prices[0].amount",
        "settings.log_level",
        "SESSION_SECRET",
    ]


def test_the_catalogue_alone_raises_with_every_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblems, match="2 problems"):
        load_catalog(write(tmp_path, RIGHT.replace("amount = 2900", "amount = -5").replace('"90s"', "90")))


SECOND = (
    '[plans.second]\nprices = [{{ amount = 9900, currency = "usd", every = "month"{} }}]\nlimits = {{ sessions = 9 }}\n'
)


@pytest.mark.row("S23")
@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (', lookup_key = "pro"', ', lookup_key = "pro"', "lookup key"),
        ("", ', lookup_key = "tollhouse_starter_month_usd"', "lookup key"),
        (', stripe_price = "price_123"', ', stripe_price = "price_123"', "price"),
    ],
)
def test_two_plans_never_have_one_price(first: str, second: str, kind: str) -> None:
    text = RIGHT.replace('every = "month"', f'every = "month"{first}') + SECOND.format(second)
    [problem] = problems_in(text)
    assert problem.key.startswith("plans.second.prices[0]")
    assert f"{kind} " in problem.found
    assert "which plan starter has too" in problem.found


@pytest.mark.row("A2")
@pytest.mark.row("S23")
def test_a_stripe_product_maps_to_one_plan() -> None:
    right = RIGHT + 'stripe_products = ["prod_abc", "prod_old"]\n'
    assert catalog_in(right).plans["starter"].stripe_products == ("prod_abc", "prod_old")

    text = right + SECOND.format("") + 'stripe_products = ["prod_abc"]\n'
    [problem] = problems_in(text)
    assert problem.key == "plans.second.stripe_products[0]"
    assert "which plan starter has too" in problem.found


@pytest.mark.row("S23")
def test_a_price_variable_for_no_plan_is_told() -> None:
    [problem] = problems_in(RIGHT, STARTR="price_123")
    assert (problem.file, problem.key) == ("environment", "STRIPE_PRICE_STARTR")
    assert problem.fix == "did you mean STRIPE_PRICE_STARTER?"


def test_a_tool_needs_a_cost_or_an_action_and_not_both() -> None:
    tool = '[tools.app-builder]\ntitle = "App builder"\n'
    [neither] = problems_in(RIGHT + tool)
    assert neither.key == "tools.app-builder"
    [both] = problems_in(RIGHT + tool + 'cost = { credits = 50 }\naction = "realtime_session"\n')
    assert both.key == "tools.app-builder.action"
    [unknown] = problems_in(RIGHT + tool + 'action = "realtime_sesion"\n')
    assert unknown.fix == "did you mean realtime_session?"
    taken = "[actions.launch_tool_app-builder]\ncost = { credits = 1 }\n"
    [clash] = problems_in(RIGHT + taken + tool + "cost = { credits = 50 }\n")
    assert clash.key == "tools.app-builder.cost"


class TestWarnings:
    """What is legal and can hardly be meant is told, and stops nothing."""

    def test_an_action_that_no_plan_allows(self) -> None:
        text = RIGHT.replace('kind = "count" }', 'kind = "count" }\nstorage = { kind = "quota" }')
        text += "[actions.store]\ncost = { storage = 1 }\n"
        told = [(problem.severity, problem.key, problem.found) for problem in problems_in(text)]
        assert ("warning", "actions.store", "an action that no plan allows") in told
        assert catalog_in(text).actions["store"].cost == {"storage": 1}

    def test_a_plan_that_no_action_can_use(self) -> None:
        text = RIGHT.replace("limits = { sessions = 5000 }", "limits = { projects = 5000 }")
        assert ("plans.starter", "a plan that no action can use") in [(p.key, p.found) for p in problems_in(text)]

    def test_a_cost_above_every_limit(self) -> None:
        text = RIGHT.replace("cost = { sessions = 1 }", "cost = { sessions = 5001 }")
        assert "a cost of 5001 sessions, more than any plan's limit" in [p.found for p in problems_in(text)]

    def test_a_meter_that_nothing_costs(self) -> None:
        assert {p.key for p in problems_in(RIGHT)} == {"meters.requests", "meters.concurrent", "meters.credits"}
