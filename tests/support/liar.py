"""A server between a client and the product that changes some answers: what would an instance look like that is wrong?"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

PASSED_ON = ("authorization", "content-type", "cookie", "accept")

Lie = Callable[[str, int, Any], tuple[int, Any]]
"""(path, status, JSON or text) of the product's answer -> what is told instead."""


@contextmanager
def lying(product_url: str, lie: Lie) -> Iterator[str]:
    """The address of a server that answers as the product does, but for the lie."""
    ready, stop = threading.Event(), threading.Event()
    address: list[str] = []

    async def serve() -> None:
        async with aiohttp.ClientSession() as http:

            async def pass_on(request: web.Request) -> web.Response:
                headers = {n: v for n, v in request.headers.items() if n.lower() in PASSED_ON}
                async with http.request(
                    request.method,
                    product_url + request.path_qs,
                    data=await request.read(),
                    headers=headers,
                    allow_redirects=False,
                ) as answer:
                    body = await answer.read()
                    given = [(n, v) for n, v in answer.headers.items() if n.lower() in ("set-cookie", "location")]
                try:
                    document = json.loads(body)
                except ValueError:
                    status, told = lie(request.path, answer.status, body.decode())
                    return web.Response(status=status, text=told, headers=CIMultiDict(given))
                status, told = lie(request.path, answer.status, document)
                return web.json_response(told, status=status)

            app = web.Application()
            app.router.add_route("*", "/{path:.*}", pass_on)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            address.append(f"http://127.0.0.1:{port}")
            ready.set()
            await asyncio.to_thread(stop.wait)
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10), "the server did not start"
    try:
        yield address[0]
    finally:
        stop.set()
        thread.join(10)
