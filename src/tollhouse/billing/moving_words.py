"""What a customer is told of its move, in English and French: the sentences that an e-mail is filled with."""

from datetime import UTC, date, datetime
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_currency, format_decimal

from tollhouse.billing.moves import Amount, Changed, Move
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.money import Money, minor_digits

_WORDS = {
    "en": {
        "colon": ": ", "month": "a month", "year": "a year", "week": "a week", "day": "a day", "unlimited": "unlimited", "none": "none",
        "support": "Support", "credits": "with each period",
        "same": "Your plan {before} changes {when}.",
        "other": "Your plan {before} is replaced by {after} {when}.",
        "soon": "soon", "on": "on {date}",
        "nothing": "What you pay does not change: nothing.", "as_before": "What you pay does not change: {price}.",
        "new_price": "You pay {before} until {date}, and {after} from then on. Nothing is charged before.",
        "no_changes": "What your plan allows stays as it is.", "changes": "What changes: {changes}.",
        "community": "community", "email": "e-mail", "chat": "chat", "priority": "priority", "phone": "phone",
        "dedicated": "dedicated",
    },
    "fr": {
        "colon": "\u00a0: ", "month": "par mois", "year": "par an", "week": "par semaine", "day": "par jour", "unlimited": "illimité",
        "none": "aucun", "support": "Assistance", "credits": "à chaque période",
        "same": "Votre offre {before} change {when}.",
        "other": "Votre offre {before} est remplacée par {after} {when}.",
        "soon": "prochainement", "on": "le {date}",
        "nothing": "Votre prix ne change pas\u00a0: vous ne payez rien.",
        "as_before": "Votre prix ne change pas\u00a0: {price}.",
        "new_price": "Vous payez {before} jusqu’au {date}, puis {after}. Rien n’est prélevé avant.",
        "no_changes": "Ce que votre offre comprend ne change pas.", "changes": "Ce qui change\u00a0: {changes}.",
        "community": "communauté", "email": "e-mail", "chat": "chat", "priority": "prioritaire", "phone": "téléphone",
        "dedicated": "dédiée",
    },
}  # fmt: skip


def told(catalog: Catalog, move: Move, on: date | None) -> dict[str, str]:
    """The values `move`, `changes`, `price` and `plan` of the letter, in the customer's language. `on`: when it is made."""
    language = move.locale.partition("-")[0]
    locale = language if language in _WORDS else "en"
    words = _WORDS[locale]
    when = words["on"].format(date=_date(on, locale)) if on is not None else words["soon"]
    before, after = _title(catalog, move.from_plan, move.from_version), _title(catalog, move.to_plan, move.to_version)
    sentence = words["same" if move.from_plan == move.to_plan else "other"]
    lines = "; ".join(change_told(changed, locale) for changed in move.changes)
    return {
        "plan": before,
        "move": sentence.format(before=before, after=after, when=when),
        "changes": words["changes"].format(changes=lines) if lines else words["no_changes"],
        "price": _price(move, locale),
    }


def change_told(changed: Changed, locale: str) -> str:
    """`sessions a month: 1,500 → 5,000`."""
    words = _WORDS[locale]
    if changed.what == "support":
        return (
            f"{words['support']}{words['colon']}{_support(changed.before, locale)} → {_support(changed.after, locale)}"
        )
    period = words[changed.period] if changed.period else words["credits"] if changed.what == "credits" else ""
    name = f"{changed.label} {period}".strip()
    return f"{name}{words['colon']}{_amount(changed.before, locale)} → {_amount(changed.after, locale)}"


def _support(value: Amount | str, locale: str) -> str:
    channel, comma, rest = str(value).partition(", ")
    return f"{_WORDS[locale].get(channel, channel)}{comma}{rest}"


def _price(move: Move, locale: str) -> str:
    words = _WORDS[locale]
    if move.price_before is None or move.price_after is None or move.every is None or move.from_when is None:
        return words["nothing"]
    before, after = (f"{_money(price, locale)} {words[move.every]}" for price in (move.price_before, move.price_after))
    if before == after:
        return words["as_before"].format(price=before)
    day = datetime.fromtimestamp(move.from_when / 1000, UTC).date()
    return words["new_price"].format(before=before, after=after, date=_date(day, locale))


def _title(catalog: Catalog, plan: str, version: int) -> str:
    known = catalog.version(plan, version)
    return known.title if known is not None else plan


def _date(day: date, locale: str) -> str:
    return format_date(day, "long", locale=locale)


def _amount(amount: Amount | str, locale: str) -> str:
    if amount is None or isinstance(amount, str):
        return _WORDS[locale][amount or "none"]
    return format_decimal(amount, format="#,##0.######", locale=locale)


def _money(price: Money, locale: str) -> str:
    value = Decimal(price.amount_minor).scaleb(-minor_digits(price.currency))
    return format_currency(value, price.currency.upper(), locale={"en": "en_US", "fr": "fr_FR"}[locale])
