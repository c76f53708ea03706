"""One customer's visit to the portal: whose it is, what it allows, where its pages are."""

import msgspec

from tollhouse_sandbox.billing import portal
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Response, redirect
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import World


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A portal session that is open, with its customer and the features of its configuration."""

    world: World
    session: Doc
    customer: Doc
    features: Doc
    secret: str

    def allows(self, feature: str) -> bool:
        """Whether the configuration has that feature on."""
        return bool(self.features[feature]["enabled"])

    def at(self, *steps: str) -> str:
        """The path of a step's page; of the first page without one."""
        return "/".join(("/portal", self.secret, *steps))

    def subscription(self, key: str) -> Doc | None:
        """The customer's living subscription of that id."""
        found = portal.living(self.world, self.customer)
        return next((subscription for subscription in found if subscription["id"] == key), None)

    def name_of(self, price: Doc) -> str:
        """The name of the product that a price buys."""
        product = self.world.store.get("product", price["product"])
        return str(product["name"] if product else price["product"])

    def complete(self, done: str) -> Response:
        """Where the customer goes after a step: back to the first page, or what the session's flow says."""
        after = (self.session["flow"] or {}).get("after_completion") or {"type": "portal_homepage"}
        match after["type"]:
            case "redirect":
                return redirect(after["redirect"]["return_url"])
            case "hosted_confirmation":
                text = after["hosted_confirmation"]["custom_message"] or "Thank you. You can close this page."
                back = self.session["return_url"]
                link = (back, "Continue") if back else None
                return page(self.world, "notice.html", title="All done", text=text, link=link)
            case _:
                return redirect(f"{self.at()}?done={done}")
