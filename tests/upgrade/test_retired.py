"""A plan that is retired is shown and sold to nobody, and stays with whoever has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.upgrade.minutes import sessions_toml
from tollhouse.billing.checkout import choose_price
from tollhouse.billing.model import PriceFacts
from tollhouse.billing.prices import PriceMap
from tollhouse.catalog import Catalog, load_catalog
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.ledger.views import upgrade_for
from tollhouse.web.offers import offers


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "tollhouse.toml").write_text(sessions_toml())
    return load_catalog(tmp_path / "tollhouse.toml")


def test_it_is_offered_to_nobody_but_who_has_it(catalog: Catalog) -> None:
    assert [one.plan for one in offers(catalog, "month")] == ["free", "starter", "growth"]
    assert [one.plan for one in offers(catalog, "month", current="pro")] == ["free", "pro", "starter", "growth"]
    assert [(one.plan, one.state) for one in offers(catalog, "month", current="pro")][1] == ("pro", "current")
    better = upgrade_for(catalog, catalog.plans["free"], catalog.meters["sessions"])
    assert better is not None
    assert better.plan == "starter"


def test_it_has_no_checkout(catalog: Catalog) -> None:
    with pytest.raises(InvalidRequest, match="'pro' is sold no more"):
        choose_price(catalog, "pro", None)


def test_who_pays_its_price_still_has_it(catalog: Catalog) -> None:
    sold = PriceMap({}, catalog).find(PriceFacts("price_minutes_pro", "prod_old", "usd", 1900, "month"))
    assert sold is not None
    assert sold.plan == "pro"
