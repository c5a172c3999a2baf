"""Server-sent events: newest wins, slow readers skip, dead ones are dropped, their number is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from aiohttp import web

from agent.control import Control, Overview
from agent.errors import AgentError
from agent.page.access import guard
from agent.page.problems import PageError
from agent.say import say

MAX_STREAMS = 16
"""Open streams for the device's own screen, as many for the link and as many for the command line."""
BEAT = 5.0
"""Seconds between signs of life: `page.js` says that the phone is lost after two and a half of them."""
WRITE_TIMEOUT = 10.0
"""Seconds that a reader may leave its buffer full before it is dropped."""
RECONNECT = 2000
"""Milliseconds after which a browser should come back."""

log = logging.getLogger(__name__)


class Mailbox:
    """Holds the newest overview for one reader; what it did not read in time is replaced."""

    def __init__(self) -> None:
        self.closed = False
        self._newest: Overview | None = None
        self._woken = asyncio.Event()

    def put(self, overview: Overview) -> None:
        """Replace what is waiting."""
        self._newest = overview
        self._woken.set()

    def close(self) -> None:
        """Let the reader go."""
        self.closed = True
        self._woken.set()

    async def get(self, seconds: float) -> Overview | None:
        """Return the newest overview, or None after so many seconds without one or when closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        newest, self._newest = self._newest, None
        self._woken.clear()
        return newest


def event(name: str, data: bytes) -> bytes:
    """Return one event of the stream (HTML standard 9.2.6); line breaks in the data stay what they are."""
    lines = b"".join(b"data: " + line + b"\n" for line in data.splitlines() or [b""])
    return b"event: " + name.encode() + b"\n" + lines + b"\n"


GONE = event("gone", b"")
"""The last event for whoever may not have more: the page is loaded again and asks for the PIN."""


def gone() -> web.Response:
    """Return a stream that only says that the session is over: a browser tells a script nothing about a 401."""
    return web.Response(body=GONE, content_type="text/event-stream", charset="utf-8")


class Streams:
    """All open event streams of one server."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._open: dict[Mailbox, web.Request] = {}
        self._closing = False

    def close(self) -> None:
        """End every stream; new ones are refused."""
        self._closing = True
        for box in self._open:
            box.close()

    async def serve(self, request: web.Request, name: str, render: Callable[[Overview], bytes]) -> web.StreamResponse:
        """Write each change as an event of that name until one side goes; raises PageError 503 when full."""
        self._admit(request)
        box = Mailbox()
        self._open[box] = request
        pump = asyncio.create_task(self._pump(box), name="page-stream")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        try:
            await response.prepare(request)
            await self._write(response, f"retry: {RECONNECT}\n\n".encode())
            while not box.closed:
                newest = await box.get(BEAT)
                if not guard.stays(request):
                    await self._write(response, GONE)
                    break
                await self._write(response, event("beat", b"") if newest is None else event(name, render(newest)))
        except ConnectionError:
            log.debug("a reader of the event stream left")
        except TimeoutError:
            log.info("a reader of the event stream does not read and was dropped")
            if request.transport is not None:
                request.transport.abort()
        finally:
            del self._open[box]
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
        return response

    def _admit(self, request: web.Request) -> None:
        channel = guard.visitor(request).channel
        alive = [
            one for one in self._open.values() if one.transport is not None and guard.visitor(one).channel is channel
        ]
        if self._closing or len(alive) >= MAX_STREAMS:
            raise PageError(
                503,
                say("Too many windows show this page already."),
                todo=say("Close some, or reload by hand."),
                code="too_many_streams",
            )

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        async with asyncio.timeout(WRITE_TIMEOUT):
            await response.write(data)

    async def _pump(self, box: Mailbox) -> None:
        try:
            async for overview in self._control.changes():
                box.put(overview)
        except AgentError as error:
            log.warning("the event stream ended: %s", error)
        finally:
            box.close()
