"""`GET /v1/catalog`: what is sold and what it costs, in the meters' own units, for the product's own servers."""

from __future__ import annotations

from tests.api.world import Api


async def test_the_catalogue_is_told_in_the_meters_own_units(api: Api) -> None:
    told = (await api.get("/v1/catalog")).json()
    assert (told["product"], told["free_plan"]) == ("AI Gate", "free")
    assert told["meters"]["credits"] == {"kind": "credits", "decimals": 3, "label": "credits"}
    assert told["actions"]["tokens"] == {
        "label": "tokens",
        "cost": {"credits": 0.5, "requests": 1},
        "priced_by": ["credits"],
    }
    assert told["tools"] == {"app-builder": {"title": "App Builder", "action": "launch_tool_app-builder"}}
    assert told["actions"]["launch_tool_app-builder"]["cost"]["credits"] == 50
    free, starter = told["plans"]
    assert free["credits"] == {"credits": 100}
    assert free["prices"] == []
    assert starter["limits"] == {"sessions": 5000, "requests": 10000, "concurrent": 5, "projects": 3}
    assert starter["prices"] == [{"amount": 900, "currency": "usd", "every": "month"}]


async def test_only_a_server_of_the_products_own_reads_it(api: Api) -> None:
    assert (await api.http.get("/v1/catalog")).status_code == 401
