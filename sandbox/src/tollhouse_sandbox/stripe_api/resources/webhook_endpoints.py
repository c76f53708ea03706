"""`/v1/webhook_endpoints`."""

import re

from tollhouse_sandbox.documents import Doc, merged_metadata
from tollhouse_sandbox.errors import invalid
from tollhouse_sandbox.identifiers import new_id, random_text
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    METADATA,
    PAGE,
    TEXT,
    TEXTS,
    Spec,
    required,
)
from tollhouse_sandbox.versions import VERSIONS

_EVENT_TYPE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
_CREATE: Spec = {
    "api_version": TEXT,
    "connect": BOOLEAN,
    "description": CLEARABLE_TEXT,
    "enabled_events": required(TEXTS),
    "metadata": METADATA,
    "url": required(TEXT),
}
_UPDATE: Spec = {
    "description": CLEARABLE_TEXT,
    "disabled": BOOLEAN,
    "enabled_events": TEXTS,
    "metadata": METADATA,
    "url": TEXT,
}


def create(call: Call) -> Doc:
    """A new endpoint; its signing secret is in this answer and in no later one."""
    given = call.read(_CREATE)
    _check(given)
    endpoint: Doc = {
        "id": new_id("we"),
        "object": "webhook_endpoint",
        "api_version": given.get("api_version"),
        "application": None,
        "created": call.world.clock.now(),
        "description": given.get("description"),
        "enabled_events": given["enabled_events"],
        "livemode": call.livemode,
        "metadata": merged_metadata({}, given.get("metadata", {})),
        "status": "enabled",
        "url": given["url"],
    }
    secret = f"whsec_{random_text(32)}"
    call.world.keep_private(endpoint["id"], secret=secret)
    call.world.store.put("webhook_endpoint", endpoint)
    return {**endpoint, "secret": secret}


def retrieve(call: Call) -> Doc:
    """An endpoint, without its secret."""
    return call.find("webhook_endpoint", call.ids[0])


def update(call: Call) -> Doc:
    """Changes address, events or status."""
    endpoint = call.find("webhook_endpoint", call.ids[0])
    given = call.read(_UPDATE)
    _check(given)
    if "disabled" in given:
        endpoint["status"] = "disabled" if given.pop("disabled") else "enabled"
    if "metadata" in given:
        given["metadata"] = merged_metadata(endpoint["metadata"], given["metadata"])
    endpoint.update(given)
    return call.world.store.put("webhook_endpoint", endpoint)


def delete(call: Call) -> Doc:
    """Deletes the endpoint; nothing is sent to it any more."""
    endpoint = call.find("webhook_endpoint", call.ids[0])
    call.world.store.delete("webhook_endpoint", endpoint["id"])
    return {"id": endpoint["id"], "object": "webhook_endpoint", "deleted": True}


def list_(call: Call) -> Doc:
    """Newest first."""
    return page(call, "webhook_endpoint", call.world.store.newest("webhook_endpoint"), call.read(PAGE))


def _check(given: Doc) -> None:
    if given.get("api_version", VERSIONS[0]) not in VERSIONS:
        raise invalid(
            f"Invalid Stripe API version: {given['api_version']}. The sandbox writes {', '.join(VERSIONS)}.",
            "api_version",
        )
    if "url" in given and not given["url"].startswith(("http://", "https://")):
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url", "url_invalid")
    if "enabled_events" in given and not given["enabled_events"]:
        raise invalid("Invalid enabled_events: must name at least one event type, or `*`.", "enabled_events")
    for place, name in enumerate(given.get("enabled_events", ())):
        if name != "*" and not _EVENT_TYPE.fullmatch(name):
            raise invalid(f"Invalid enabled_events[{place}]: {name} is no type of event.", f"enabled_events[{place}]")
