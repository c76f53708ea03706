"""The catalogue as typed, frozen structs. Amounts are scaled by their meter's decimals; durations are milliseconds."""

from typing import Literal

import msgspec

from tollhouse.kernel.periods import Unit

MeterKind = Literal["credits", "quota", "rate", "lease", "count"]
Every = Literal["month", "year"]
LotMode = Literal["replace", "add"]
OnUpgrade = Literal["replace", "difference", "none"]
OnRefund = Literal["keep", "take_back"]
BillingAddress = Literal["auto", "required"]


class Meter(msgspec.Struct, frozen=True):
    """Something that is limited. Which optional fields are set follows from the kind."""

    name: str
    kind: MeterKind
    decimals: int = 0
    period: Unit = "month"  # quota: the billing period after which `used` returns to zero
    window_ms: int = 0  # rate: length of the sliding window
    ttl_ms: int = 0  # lease: a slot that is not renewed for so long comes back
    minutes_each: int = 0  # quota: minutes estimated for one unit, shown and never billed (S2)
    label: str = ""


class Action(msgspec.Struct, frozen=True):
    """Something that costs. `cost` maps meter names to scaled amounts."""

    name: str
    cost: dict[str, int]
    priced_by_caller: tuple[str, ...] = ()  # meters whose amount the caller may name; `cost` is then the default
    label: str = ""


class Tool(msgspec.Struct, frozen=True):
    """A tool that a user launches from the pages; launching it is an action."""

    name: str
    action: str
    title: str
    description: str = ""
    frame_url: str = ""


class Price(msgspec.Struct, frozen=True):
    """What a plan costs: minor units of a currency, for a month or a year."""

    amount_minor: int
    currency: str
    every: Every
    lookup_key: str  # how Stripe's price is found: `tollhouse_<plan>_<month|year>_<currency>` by default
    stripe_price: str | None = None  # a fixed price id, where the file or environment names one


class Grant(msgspec.Struct, frozen=True):
    """The credits that come with a plan, each time its period is paid (for a free plan: once, at sign-up)."""

    meter: str
    amount: int
    mode: LotMode = "replace"
    verified_only: bool = False  # spendable only after the user's e-mail address is verified
    on_upgrade: OnUpgrade = "replace"  # what moving up to this plan within a period brings at once
    rollover: int | None = 0  # how much of what is left a paid renewal carries over; None: all of it


class PackPrice(msgspec.Struct, frozen=True):
    """What a pack costs, once: minor units of a currency."""

    amount_minor: int
    currency: str
    lookup_key: str  # `tollhouse_pack_<pack>_once_<currency>`


class Pack(msgspec.Struct, frozen=True):
    """Credits that are bought once, beside a plan or without one (X11). `amount` is scaled."""

    name: str
    title: str
    meter: str
    amount: int
    prices: tuple[PackPrice, ...]
    description: str = ""
    expires_after_ms: int | None = None  # counted from the moment at which it was paid


class Support(msgspec.Struct, frozen=True):
    """The support level of a plan (S5)."""

    channel: str = "community"
    answer_within_ms: int | None = None
    sla_percent: str | None = None


class PlanVersion(msgspec.Struct, frozen=True):
    """What a customer bought. `limits` maps meters to scaled limits, None meaning unlimited."""

    plan: str
    version: int
    title: str
    rank: int  # order of the plans in the file; a higher rank is an upgrade
    limits: dict[str, int | None]
    grants: tuple[Grant, ...]
    prices: tuple[Price, ...]
    support: Support = Support()
    description: str = ""
    features: tuple[str, ...] = ()
    badge: bool = False
    contact_only: bool = False  # shown without a buy button
    retired: bool = False  # neither shown nor sold; who has it keeps it until moved
    stripe_products: tuple[str, ...] = ()

    def allows(self, meter: Meter) -> bool:
        """Whether the plan names this meter at all (rule 10: what it does not name is refused)."""
        if meter.name in self.limits:
            return True
        if meter.kind == "credits":
            for grant in self.grants:
                if grant.meter == meter.name:
                    return True
        return False


class Product(msgspec.Struct, frozen=True):
    """The product that is sold."""

    name: str
    tagline: str = ""
    url: str = ""
    support_email: str = ""
    default_locale: str = "en"
    provider_note: str = ""  # 'the AI provider bills separately' (S15)


class Terms(msgspec.Struct, frozen=True):
    """What holds for every customer who pays, whatever the plan; the newest terms count, also for older purchases."""

    grace_ms: int = 0  # how long a customer goes on as before after a renewal's payment failed
    on_refund: OnRefund = "keep"  # what becomes of the credits of a payment that is given back
    automatic_tax: bool = False  # Stripe Tax works out the tax of what Checkout sells
    tax_ids: bool = False  # Checkout takes a business's VAT id
    billing_address: BillingAddress = "auto"  # whether Checkout always asks for it
    receipts: bool = True  # a paid invoice is told by e-mail, with its PDF
    balance_thresholds: tuple[int, ...] = (80,)  # percent used at which a balance is told, ascending


class Catalog(msgspec.Struct, frozen=True):
    """Everything that the file says is sold. `plans` holds the newest version of each, in the file's order."""

    product: Product
    meters: dict[str, Meter]
    actions: dict[str, Action]
    tools: dict[str, Tool]
    plans: dict[str, PlanVersion]
    free_plan: str
    versions: dict[tuple[str, int], PlanVersion] = {}  # every version ever sold, once read from the store
    packs: dict[str, Pack] = {}
    terms: Terms = Terms()

    @property
    def on_sale(self) -> tuple[PlanVersion, ...]:
        """The plans that are shown, in the file's order: all but those that are retired."""
        return tuple(plan for plan in self.plans.values() if not plan.retired)

    def version(self, plan: str, version: int) -> PlanVersion | None:
        """The version that a customer is on; None when neither the store nor the file knows it."""
        found = self.versions.get((plan, version))
        if found is None:
            newest = self.plans.get(plan)
            found = newest if newest is not None and newest.version == version else None
        return found
