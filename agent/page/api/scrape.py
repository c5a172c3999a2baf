"""`/metrics` for Prometheus, under the same rules as the page: loopback and the Unix socket, others signed in."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from agent.page.routes import Role, Route, get

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def routes(text: Callable[[], str]) -> list[Route]:
    """Return the route; `text` is what a scrape sees now."""

    async def metrics(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=text().encode(), headers={"Content-Type": CONTENT_TYPE})

    return [get("/metrics", metrics, Role.STAFF)]
