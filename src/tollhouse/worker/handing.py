"""Who is given which fact of the outbox: Stripe, where it concerns what Stripe writes; else whoever writes the e-mails."""

import msgspec

from tollhouse.alerts.actions import Messenger, deliver
from tollhouse.alerts.receipts import send_receipt
from tollhouse.billing.linking import tell_language
from tollhouse.house import House
from tollhouse.kernel.facts import LanguageChosen
from tollhouse.store.outbox import Finish, Outgoing
from tollhouse.worker.delivering import Deliver

_decode_language = msgspec.json.Decoder(LanguageChosen).decode


def hand_over(house: House, messenger: Messenger) -> Deliver:
    """What `deliver_once` calls for each fact of this installation."""

    async def given(item: Outgoing) -> Finish | None:
        if item.fact == "receipt.requested":
            await send_receipt(house.store, messenger, house.settings.url, item)
        elif item.fact == "customer.language.chosen":
            chosen = _decode_language(item.payload)
            if house.stripe is not None:
                await tell_language(house.store, house.stripe, chosen.customer)
        else:
            return await deliver(house.store, messenger, item)
        return None

    return given
