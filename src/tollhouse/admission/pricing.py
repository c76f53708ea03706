"""What an action costs: from the catalogue, or from the caller where the catalogue lets it. Scaled and in own units."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from tollhouse.catalog.model import Action, Catalog
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.units import scale, unscale
from tollhouse.ledger.views import Amount


class Charge(msgspec.Struct, frozen=True):
    """An action with its cost: `cost` scaled, `debits` in the meters' own units."""

    action: str
    cost: dict[str, int]
    debits: dict[str, Amount]


class PriceList:
    """The charges of a catalogue's actions, worked out once."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._charges = {name: self._charge(name, action.cost) for name, action in catalog.actions.items()}

    def charge(self, action: str, amounts: Mapping[str, Decimal] | None = None) -> Charge:
        """What this action costs. Raises InvalidRequest `unknown_action`, `amount_not_allowed`, `invalid_amount`."""
        charge = self._charges.get(action)
        if charge is None:
            known = ", ".join(list(self._charges)[:12])
            raise InvalidRequest(f"there is no action {action!r}", code="unknown_action", fix=f"name one of: {known}")
        if amounts is None:
            return charge
        return self._priced(self._catalog.actions[action], amounts)

    def _priced(self, action: Action, amounts: Mapping[str, Decimal]) -> Charge:
        if not amounts and not action.priced_by_caller:
            raise InvalidRequest(
                f"the action {action.name!r} takes no amount from the caller",
                code="amount_not_allowed",
                fix="leave `amount` out, or set `priced_by` of the action in the catalogue",
            )
        cost = dict(action.cost)
        for meter, amount in amounts.items():
            if meter not in action.priced_by_caller:
                allowed = ", ".join(action.priced_by_caller) or "none of its meters"
                raise InvalidRequest(
                    f"the action {action.name!r} does not take an amount of {meter!r} from the caller",
                    code="amount_not_allowed",
                    meter=meter,
                    fix=f"leave it out, or set `priced_by` of the action in the catalogue (now: {allowed})",
                )
            cost[meter] = scaled(amount, meter, self._catalog)
        return self._charge(action.name, {meter: amount for meter, amount in cost.items() if amount})

    def _charge(self, name: str, cost: dict[str, int]) -> Charge:
        meters = self._catalog.meters
        return Charge(name, cost, {meter: unscale(amount, meters[meter].decimals) for meter, amount in cost.items()})


def scaled(amount: Decimal, meter: str, catalog: Catalog) -> int:
    """A client's amount on a meter, scaled. Raises InvalidRequest for unknown meters, negatives, too many decimals."""
    known = catalog.meters.get(meter)
    if known is None:
        names = ", ".join(catalog.meters)
        raise InvalidRequest(f"there is no meter {meter!r}", code="unknown_meter", fix=f"name one of: {names}")
    try:
        value = scale(amount, known.decimals)
    except ValueError as error:
        raise InvalidRequest(
            f"{meter}: {error}",
            code="invalid_amount",
            meter=meter,
            fix=f"send 0 or more with at most {known.decimals} decimals, below 2^53 when scaled",
        ) from None
    if value < 0:
        raise InvalidRequest(
            f"{meter}: the amount is negative", code="invalid_amount", meter=meter, fix="send 0 or more"
        )
    return value
