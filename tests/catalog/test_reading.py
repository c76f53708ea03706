"""What a right file means: meters, actions, tools, plans and prices as the rooms above use them."""

from pathlib import Path

import pytest

from tests.catalog.files import RIGHT, catalog_in
from tollhouse.catalog import Action, Grant, Meter, Price, Support, Tool, load_catalog, load_configuration
from tollhouse.catalog.model import Terms
from tollhouse.cli.init import PRESETS, preset_text

TWO_PRICES = """\
[plans.premium]
prices = [
  { amount = 400, currency = "EUR", every = "month" },
  { amount = 3_000, currency = "eur", every = "year" },
]
credits = { credits = 500 }
"""
ONE_PAID = RIGHT[: RIGHT.index("[plans.starter]")] + TWO_PRICES


def test_each_kind_of_meter() -> None:
    meters = catalog_in(RIGHT).meters
    assert meters["sessions"] == Meter("sessions", "quota", minutes_each=2, label="sessions")
    assert meters["requests"] == Meter("requests", "rate", window_ms=60_000, label="requests")
    assert meters["concurrent"] == Meter("concurrent", "lease", ttl_ms=90_000, label="concurrent")
    assert meters["projects"] == Meter("projects", "count", label="projects")
    assert meters["credits"] == Meter("credits", "credits", decimals=3, label="credits")


@pytest.mark.parametrize(
    ("per", "window_ms"), [("second", 1_000), ("hour", 3_600_000), ("10s", 10_000), ("24h", 86_400_000)]
)
def test_a_rate_has_a_window_of_any_length(per: str, window_ms: int) -> None:
    text = RIGHT.replace('per = "minute"', f'per = "{per}"')
    assert catalog_in(text).meters["requests"].window_ms == window_ms


@pytest.mark.row("X3")
def test_amounts_are_scaled_by_their_meters_decimals() -> None:
    catalog = catalog_in(
        RIGHT + "[actions.token]\ncost = { credits = 0.001 }\n[actions.page]\ncost = { credits = 12.5 }\n"
    )
    assert catalog.actions["token"].cost == {"credits": 1}
    assert catalog.actions["page"].cost == {"credits": 12_500}
    assert catalog.plans["free"].grants == (Grant("credits", 100_000),)


def test_unlimited_is_written_and_what_is_not_named_is_refused() -> None:
    catalog = catalog_in(RIGHT.replace("limits = { sessions = 5000 }", 'limits = { sessions = "unlimited" }'))
    starter = catalog.plans["starter"]
    assert starter.limits == {"sessions": None}
    assert starter.allows(catalog.meters["sessions"])
    assert not starter.allows(catalog.meters["projects"])


def test_a_grant_says_how_it_comes() -> None:
    detail = '{ credits = { amount = 50, mode = "add", verified_only = true, on_upgrade = "none" } }'
    plan = catalog_in(RIGHT.replace("{ credits = 1000 }", detail)).plans["starter"]
    assert plan.grants == (Grant("credits", 50_000, mode="add", verified_only=True, on_upgrade="none"),)


@pytest.mark.parametrize(("written", "ceiling"), [("250.5", 250_500), ('"unlimited"', None), ("0", 0)])
def test_a_grant_says_what_is_carried_over(written: str, ceiling: int | None) -> None:
    detail = f"{{ credits = {{ amount = 50, rollover = {written} }} }}"
    plan = catalog_in(RIGHT.replace("{ credits = 1000 }", detail)).plans["starter"]
    assert plan.grants == (Grant("credits", 50_000, rollover=ceiling),)


@pytest.mark.row("A4")
def test_a_tool_with_a_cost_is_an_action_of_its_own() -> None:
    tool = '[tools.app-builder]\ntitle = "App builder"\nframe_url = "https://tools.example.com/app"\ncost = { credits = 50 }\n'
    catalog = catalog_in(RIGHT + tool)
    assert catalog.tools["app-builder"] == Tool(
        "app-builder", "launch_tool_app-builder", "App builder", frame_url="https://tools.example.com/app"
    )
    assert catalog.actions["launch_tool_app-builder"] == Action(
        "launch_tool_app-builder", {"credits": 50_000}, label="App builder"
    )


def test_a_tool_may_launch_an_action_of_the_file() -> None:
    tool = '[tools.call]\ntitle = "Call"\naction = "realtime_session"\n'
    assert catalog_in(RIGHT + tool).tools["call"].action == "realtime_session"


@pytest.mark.parametrize(
    ("priced_by", "meters"),
    [
        ('"caller"', ("credits", "requests")),
        ("true", ("credits", "requests")),
        ('["credits"]', ("credits",)),
        ("false", ()),
    ],
)
def test_which_amounts_the_caller_may_name(priced_by: str, meters: tuple[str, ...]) -> None:
    action = f"[actions.chat]\ncost = {{ credits = 1, requests = 1, concurrent = 1 }}\npriced_by = {priced_by}\n"
    assert catalog_in(RIGHT + action).actions["chat"].priced_by_caller == meters


def test_a_plan_marked_free_need_not_be_called_so() -> None:
    catalog = catalog_in(RIGHT.replace("[plans.free]", "[plans.hobby]\nfree = true"))
    assert catalog.free_plan == "hobby"


def test_a_later_plan_is_an_upgrade() -> None:
    plans = catalog_in(RIGHT).plans
    assert list(plans) == ["free", "starter"]
    assert plans["free"].rank < plans["starter"].rank


@pytest.mark.row("U1")
def test_one_plan_has_two_prices() -> None:
    prices = catalog_in(ONE_PAID).plans["premium"].prices
    assert prices == (
        Price(400, "eur", "month", "tollhouse_premium_month_eur"),
        Price(3_000, "eur", "year", "tollhouse_premium_year_eur"),
    )


@pytest.mark.row("A2")
@pytest.mark.row("U1")
@pytest.mark.parametrize(
    ("variables", "monthly", "yearly"),
    [
        ({"MONTHLY": "price_m", "YEARLY": "price_y"}, "price_m", "price_y"),
        ({"PREMIUM_MONTHLY": "price_m", "PREMIUM_YEARLY": "price_y"}, "price_m", "price_y"),
        ({"PREMIUM": "price_m"}, "price_m", None),
        ({"PREMIUM_YEARLY_EUR": "price_y"}, None, "price_y"),
    ],
)
def test_price_ids_come_from_the_environment(
    variables: dict[str, str], monthly: str | None, yearly: str | None
) -> None:
    prices = catalog_in(ONE_PAID, **variables).plans["premium"].prices
    assert [price.stripe_price for price in prices] == [monthly, yearly]


@pytest.mark.row("A2")
def test_a_variable_is_stronger_than_the_files_price_id() -> None:
    text = RIGHT.replace('every = "month"', 'every = "month", stripe_price = "price_file"')
    assert catalog_in(text).plans["starter"].prices[0].stripe_price == "price_file"
    assert catalog_in(text, STARTER="price_env").plans["starter"].prices[0].stripe_price == "price_env"


@pytest.fixture(params=PRESETS)
def preset(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "tollhouse.toml"
    path.write_text(preset_text(request.param), "utf-8")
    return path


@pytest.mark.parametrize("environment", ["development", "staging", "production", "demo", "test"])
def test_a_preset_is_right_in_every_environment(preset: Path, environment: str) -> None:
    found = load_configuration(preset, {"ENVIRONMENT": environment, "DATABASE_URL": "sqlite:///x.db"}, purpose="data")
    assert found.warnings == ()
    assert found.catalog.plans[found.catalog.free_plan].prices == ()
    assert all(plan.allows(found.catalog.meters["projects"]) for plan in found.catalog.plans.values())


@pytest.fixture
def aigate(tmp_path: Path) -> Path:
    path = tmp_path / "tollhouse.toml"
    path.write_text(preset_text("aigate"), "utf-8")
    return path


@pytest.mark.row("S1")
@pytest.mark.row("S3")
@pytest.mark.row("S4")
@pytest.mark.row("S5")
def test_ai_gate_sells_what_its_runbook_says(aigate: Path) -> None:
    catalog = load_catalog(aigate)
    free, starter, growth = (catalog.plans[name] for name in ("free", "starter", "growth"))
    assert free.limits == {"sessions": 100, "requests": 100, "concurrent": 1, "projects": 1}
    assert starter.limits == {"sessions": 5_000, "requests": 1_000, "concurrent": 5, "projects": 3}
    assert growth.limits == {"sessions": 20_000, "requests": 10_000, "concurrent": 20, "projects": 10}
    assert [(p.amount_minor, p.currency, p.every) for p in starter.prices] == [(2_900, "usd", "month")]
    assert [(p.amount_minor, p.currency, p.every) for p in growth.prices] == [(9_900, "usd", "month")]
    assert free.support == Support("community")
    assert starter.support == Support("email", 48 * 3_600_000)
    assert growth.support == Support("email", 24 * 3_600_000, "99.9")


@pytest.mark.row("S2")
def test_ai_gate_estimates_two_minutes_a_session(aigate: Path) -> None:
    assert load_catalog(aigate).meters["sessions"].minutes_each == 2


@pytest.mark.row("A2")
@pytest.mark.row("A4")
def test_aurion_sells_what_its_runbook_says(tmp_path: Path) -> None:
    path = tmp_path / "tollhouse.toml"
    path.write_text(preset_text("aurion"), "utf-8")
    catalog = load_catalog(path)
    prices = {name: plan.prices[0].amount_minor for name, plan in catalog.plans.items() if plan.prices}
    credits = {name: plan.grants[0].amount // 1_000 for name, plan in catalog.plans.items()}
    assert prices == {"starter": 900, "plus": 2_900, "pro": 9_900, "enterprise": 49_900}
    assert credits == {"free": 100, "starter": 1_000, "plus": 4_000, "pro": 15_000, "enterprise": 100_000}
    assert catalog.actions["launch_tool_app-builder"].cost["credits"] == 50_000


@pytest.mark.row("U1")
def test_upiik_sells_one_plan_by_the_month_and_by_the_year(tmp_path: Path) -> None:
    path = tmp_path / "tollhouse.toml"
    path.write_text(preset_text("upiik"), "utf-8")
    ids = {"MONTHLY": "price_m", "YEARLY": "price_y"}
    [premium] = [plan for plan in load_catalog(path, ids).plans.values() if plan.prices]
    assert [(p.amount_minor, p.currency, p.every, p.stripe_price) for p in premium.prices] == [
        (400, "eur", "month", "price_m"),
        (3_000, "eur", "year", "price_y"),
    ]


def test_the_terms_of_billing_are_read() -> None:
    assert catalog_in(RIGHT).terms == Terms(0, "keep")
    assert catalog_in(RIGHT + '[billing]\non_refund = "take_back"\n').terms.on_refund == "take_back"
    assert catalog_in(RIGHT + '[billing]\ngrace = "3d"\n').terms.grace_ms == 3 * 86_400_000
    assert catalog_in(RIGHT).terms.balance_thresholds == (80,)
    assert catalog_in(RIGHT + "[billing]\nbalance_thresholds = [90, 50, 90]\n").terms.balance_thresholds == (50, 90)
    assert catalog_in(RIGHT + "[billing]\nbalance_thresholds = []\n").terms.balance_thresholds == ()
    assert catalog_in(RIGHT + "[billing]\nautomatic_tax = true\n").terms == Terms(automatic_tax=True)
    assert catalog_in(RIGHT + "[billing]\nreceipts = false\n").terms == Terms(receipts=False)
    taxed = catalog_in(RIGHT + '[billing]\ntax_ids = true\nbilling_address = "required"\n').terms
    assert taxed == Terms(tax_ids=True, billing_address="required")
