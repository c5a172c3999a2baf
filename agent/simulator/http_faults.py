"""What a faulty path does to an HTTP request or to the WebSocket upgrade."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from agent.simulator.core import Platform
from agent.simulator.faults import Fault, FaultKind

PORTAL = (
    "<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Guest Wi-Fi: please sign in</h1></body></html>"
)

_TEXTS = {401: "Missing or invalid credential", 403: "Forbidden", 429: "Too many requests"}


async def apply_faults(
    platform: Platform, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer a request as the faults that hit it say, or let the handler do it."""
    target = "WS upgrade" if request.path == "/v1/webrtc" else f"{request.method} {request.path}"
    for fault in platform.faults.take(target):
        platform.log.add("fault", fault=fault.kind.value, id=fault.id, target=target)
        if fault.kind is FaultKind.LATENCY:
            await asyncio.sleep(fault.seconds)
            continue
        return await _fail(fault, request, handler)
    return await handler(request)


async def _fail(
    fault: Fault, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    match fault.kind:
        case FaultKind.STATUS:
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            text = fault.text or _TEXTS.get(fault.status, "Something went wrong on our side")
            return web.json_response({"error": text}, status=fault.status, headers=headers)
        case FaultKind.HTML:
            return web.Response(status=fault.status, text=PORTAL, content_type="text/html")
        case FaultKind.DROP_REPLY:
            response = await handler(request)
            _cut(request)
            return response
        case FaultKind.HANG:
            await asyncio.sleep(fault.seconds)
    _cut(request)
    return web.Response(status=503)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
