"""The doors in front of aiohttp: how many connections there may be and how long one may stay silent.

Each listening socket has its own, so that the link cannot take what the device's own screen needs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web

from agent.page.access.visitor import Channel

MAX_CONNECTIONS = 64
"""For each of loopback and the Unix socket: a browser uses six, a full table of streams sixteen."""
MAX_ON_LINK = 48
"""For all on the link together: eight browsers; each connection costs about 270 KiB with asyncio's TLS."""
FIRST_REQUEST = 10.0
"""Seconds in which a new connection must have sent its first request head; aiohttp itself waits for ever."""

MAX_AHEAD = 8
"""Requests that a connection may send before its first one is answered: browsers send none, and aiohttp 3.8 keeps any
number of them, 400 MB in eight seconds from one neighbor without a PIN."""
SAY_EVERY = 60.0
"""Seconds between two lines in the log about the same."""
FRESH = 0.1
"""Seconds in which an accepted connection counts although asyncio has not handed it over yet."""

log = logging.getLogger(__name__)


class _Full(asyncio.Protocol):
    """Turns a connection away."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.write(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\n")
        transport.close()


class _Watched(asyncio.Protocol):
    """Passes everything on to aiohttp, and ends a connection that sends requests far ahead of the answers."""

    def __init__(self, handler: web.RequestHandler, warn: Callable[[str, int], None]) -> None:
        self._handler = handler
        self._warn = warn
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport if isinstance(transport, asyncio.Transport) else None
        self._handler.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._handler.data_received(data)
        if self._transport is not None and len(self._handler._messages) > MAX_AHEAD:  # noqa: SLF001 - no other way
            self._warn(
                "a connection to the page by {channel} sent more than {most} requests at once: it was ended", MAX_AHEAD
            )
            self._transport.abort()

    def eof_received(self) -> None:
        self._handler.eof_received()

    def connection_lost(self, error: BaseException | None) -> None:
        self._handler.connection_lost(error)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()


class Door:
    """Protocol factory for one listening socket."""

    def __init__(self, server: web.Server, channel: Channel) -> None:
        self.channel = channel
        """What a visitor who came through here has come by."""
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._silent: set[asyncio.BaseProtocol] = set()
        self._inside: dict[asyncio.BaseProtocol, float] = {}
        self._said: dict[str, float] = {}

    def __call__(self) -> asyncio.Protocol:
        """Return the protocol for a new connection."""
        most = MAX_ON_LINK if self.channel is Channel.LINK else MAX_CONNECTIONS
        if self.inside() >= most:
            self._warn("more than {most} connections to the page by {channel}: one was turned away", most)
            return _Full()
        handler = self._server()
        self._inside[handler] = self._loop.time()
        self._silent.add(handler)
        self._loop.call_later(FIRST_REQUEST, self._still_silent, handler)
        return _Watched(handler, self._warn)

    def _warn(self, text: str, most: int) -> None:
        """Say it, not more often than SAY_EVERY: who floods the page must not flood the journal (S11)."""
        now = self._loop.time()
        if now - self._said.get(text, -SAY_EVERY) >= SAY_EVERY:
            self._said[text] = now
            log.warning("%s", text.format(most=most, channel=self.channel))

    def inside(self) -> int:
        """Return how many connections are open."""
        now = self._loop.time()
        self._inside = {
            one: since
            for one, since in self._inside.items()
            if getattr(one, "transport", None) is not None or now - since < FRESH
        }
        return len(self._inside)

    def knows(self, handler: asyncio.BaseProtocol) -> bool:
        """Tell whether a connection came through this door."""
        return handler in self._inside

    def heard(self, handler: asyncio.BaseProtocol) -> None:
        """Note that a connection sent a request."""
        self._silent.discard(handler)

    def _still_silent(self, handler: web.RequestHandler) -> None:
        if handler in self._silent:
            self._silent.discard(handler)
            if handler.transport is not None:
                handler.transport.abort()
