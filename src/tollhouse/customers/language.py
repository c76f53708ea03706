"""In which language a customer is written to: its owner's, as soon as they choose another one."""

from tollhouse.customers import queries
from tollhouse.customers.actions import customer_of_user, read_customer
from tollhouse.identity.emails import known_locale
from tollhouse.kernel.facts import LanguageChosen
from tollhouse.store import Tx, cell_of, outbox


async def choose_language(tx: Tx, user: str, locale: str, now: int) -> None:
    """The user's customer reads this language from now on; whoever else writes to it is told. Raises InvalidRequest."""
    customer = await customer_of_user(tx, user)
    chosen = known_locale(locale, "en")
    if customer is None or (await read_customer(tx, customer)).locale == chosen:
        return
    await tx.execute(queries.SET_LANGUAGE, cell=cell_of(customer), id=customer, locale=chosen)
    await outbox.put(tx, LanguageChosen(customer, chosen), customer=customer, now=now)
