"""The WebSocket `/v1/webrtc` (platform.md 4)."""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import WSMsgType, web

from agent.simulator.core import Platform
from agent.simulator.hub import Hub, Socket

SUBPROTOCOL = "dialstack.webrtc.v1"
PING_INTERVAL = 30.0
PONG_WAIT = 10.0
"""Seconds, platform.md 4.4."""
GOODBYE = 1.0
"""Seconds that a close frame may take."""


def peer(request: web.Request) -> str:
    """Return the address of the socket's other end: no proxy header is believed."""
    name = request.transport.get_extra_info("peername") if request.transport else None
    return str(name[0]) if name else "127.0.0.1"


class SignallingServer:
    """Upgrades, feeds frames to the core, and asks the peer for a sign of life."""

    def __init__(
        self, platform: Platform, hub: Hub, *, ping_interval: float = PING_INTERVAL, pong_wait: float = PONG_WAIT
    ) -> None:
        self._platform = platform
        self._hub = hub
        self._ping_interval = ping_interval
        self._pong_wait = pong_wait

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection from the upgrade to its end."""
        if not request.headers.get("User-Agent"):
            return web.Response(status=403, text="<html><body>403 Forbidden</body></html>", content_type="text/html")
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if SUBPROTOCOL not in offered:
            return web.json_response({"error": f"The subprotocol {SUBPROTOCOL} is required"}, status=400)
        response = web.WebSocketResponse(protocols=(SUBPROTOCOL,), autoping=False)
        if not response.can_prepare(request).ok:
            return web.json_response({"error": "A WebSocket upgrade is required"}, status=426)
        await response.prepare(request)
        session = self._platform.signalling.open(peer(request))
        socket = Socket(response, request.transport)
        self._hub.attach(session.id, socket)
        pong = asyncio.Event()
        helpers = [
            asyncio.create_task(socket.write(self._platform.behavior.close_code), name=f"{session.id}-write"),
            asyncio.create_task(self._watch(session.id, response, pong), name=f"{session.id}-ping"),
        ]
        try:
            await self._read(session.id, response, pong)
        finally:
            self._platform.signalling.close(session.id, "transport_closed")
            self._hub.detach(session.id)
            if socket.saying_goodbye:  # reading ends before the close frame is out
                await asyncio.wait(helpers[:1], timeout=GOODBYE)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return response

    async def _read(self, session: str, response: web.WebSocketResponse, pong: asyncio.Event) -> None:
        async for message in response:
            if message.type is WSMsgType.PING:
                with contextlib.suppress(ConnectionError):
                    await response.pong(message.data)
            elif message.type is WSMsgType.PONG:
                pong.set()
            elif message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                try:
                    frame = json.loads(message.data)
                except ValueError:
                    frame = None
                self._hub.deliver(self._platform.signalling.receive(session, frame))

    async def _watch(self, session: str, response: web.WebSocketResponse, pong: asyncio.Event) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._ping_interval)
                pong.clear()
                await response.ping()
                try:
                    async with asyncio.timeout(self._pong_wait):
                        await pong.wait()
                except TimeoutError:
                    self._hub.deliver(self._platform.signalling.idle(session))
                    return
