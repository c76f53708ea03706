"""The pages for staff. `routes(house)` is what the application mounts."""

from litestar import Router

from tollhouse.house import House


def routes(house: House) -> list[Router]:
    """Every page below `/admin`."""
    return []
