"""The ASGI application: Stripe's API, the pages, and the controls, over one world."""

import asyncio
import sys
import traceback
from email.utils import formatdate

from tollhouse_sandbox import control
from tollhouse_sandbox.billing import agenda
from tollhouse_sandbox.documents import encode
from tollhouse_sandbox.http import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    TooLarge,
    as_json,
    read_request,
    send_response,
)
from tollhouse_sandbox.pages import router
from tollhouse_sandbox.stripe_api import api, times
from tollhouse_sandbox.world import World


class App:
    """One sandbox over HTTP."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; what it changed is on disk before the answer leaves."""
        if scope["type"] != "http":
            return
        try:
            request = await read_request(scope, receive)
        except TooLarge:
            await send_response(as_json({"error": {"message": "The request is larger than 2 MB"}}, 413), send)
            return
        try:
            response = await self._answer(request)
        except Exception:
            traceback.print_exc(file=sys.stderr)
            message = f"The sandbox failed on {request.method} {request.path}; its terminal shows why."
            response = Response(500, encode({"error": {"message": message, "type": "api_error"}}), _JSON)
        self.world.store.save()
        response.headers["date"] = formatdate(self.world.clock.now(), usegmt=True)
        await send_response(response, send)

    async def _answer(self, request: Request) -> Response:
        world = self.world
        agenda.catch_up(world)
        if request.path.startswith("/v1/"):
            if world.faults.api_latency_ms:
                await asyncio.sleep(world.faults.api_latency_ms / 1000)
            response = api.answer(world, request)
        elif request.path.startswith("/_sandbox/"):
            response = await control.answer(world, request)
        else:
            with times.of_page(world, request.path):
                response = router.answer(world, request)
        agenda.catch_up(world)
        return response


_JSON = {"content-type": "application/json"}


async def keep_time(world: World) -> None:
    """Does what falls due while nobody calls."""
    while True:
        await asyncio.sleep(1)
        try:
            agenda.catch_up(world)
            world.store.save()
        except Exception:
            traceback.print_exc(file=sys.stderr)
