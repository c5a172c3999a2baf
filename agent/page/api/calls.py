"""Calls over HTTP (API.md): a thin front of the voice socket for the device's own application on its screen.

It never stands in front of 911: a request to place an emergency call is passed on at once, whatever the agent is doing
otherwise, and an application does well to use the voice socket itself when this front does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from agent.callbook import CallList, Change
from agent.calling import Calling
from agent.page.access import guard
from agent.page.access.visitor import Channel
from agent.page.api import wire
from agent.page.api.core import PREFIX, answer
from agent.page.api.live import BEAT, MAX_STREAMS, RECONNECT, WRITE_TIMEOUT, event
from agent.page.problems import PageError
from agent.page.routes import Role, Route, get, post, stream
from agent.say import say

CALLS = f"{PREFIX}/calls"
MAX_NUMBER = 256
"""Characters that can be dialed (PROTOCOL.md)."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PlaceBody(msgspec.Struct):
    """`POST calls`; what is unknown or odd beside `to` never stops an emergency call."""

    to: str
    record: Any = None
    play: Any = None


class RejectBody(msgspec.Struct):
    """`POST calls/N/reject`."""

    busy: bool = False


class DigitsBody(msgspec.Struct):
    """`POST calls/N/dtmf`."""

    digits: str


class CallsApi:
    """Handlers for calls; from the link nobody may call."""

    def __init__(self, calling: Calling) -> None:
        self._calling = calling
        self._streams: set[asyncio.Event] = set()

    def routes(self) -> list[Route]:
        """Return what this class answers."""
        one = CALLS + "/{call:[0-9]{1,9}}"
        return [
            get(f"{PREFIX}/csrf", self.csrf, Role.STAFF),
            get(CALLS, _here(self.list), Role.STAFF),
            post(CALLS, _here(self.place), Role.STAFF),
            stream(f"{CALLS}/events", _here(self.events), Role.STAFF),
            post(f"{CALLS}/hangup", _here(self.hangup_all), Role.STAFF),
            *(post(f"{one}/{verb}", _here(self._plain(verb)), Role.STAFF) for verb in PLAIN),
            post(f"{one}/reject", _here(self.reject), Role.STAFF),
            post(f"{one}/dtmf", _here(self.dtmf), Role.STAFF),
        ]

    def close(self) -> None:
        """End every stream."""
        for over in self._streams:
            over.set()

    async def csrf(self, request: web.Request) -> web.StreamResponse:
        """Return the token that scripts of this origin send back; other origins cannot read the answer."""
        return answer({"token": guard.csrf_token(request)})

    async def list(self, _request: web.Request) -> web.StreamResponse:
        """Return all calls."""
        return answer(self._calling.calls())

    async def place(self, request: web.Request) -> web.StreamResponse:
        """Place a call; 201 as soon as it is dialed, its further life is in the events."""
        body = wire.decode(await guard.read_body(request), PlaceBody)
        if not 0 < len(body.to) <= MAX_NUMBER:
            raise PageError(
                400, say("There is no number to dial."), todo=say("Send `to`, see agent/page/API.md."), code="malformed"
            )
        files = {"record": body.record, "play": body.play}
        view = await self._calling.place(body.to, **{name: one for name, one in files.items() if isinstance(one, str)})
        return answer(view, 201)

    def _plain(self, verb: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            await self._calling.order(verb, call=int(request.match_info["call"]))
            return answer(wire.Done())

        return handler

    async def hangup_all(self, _request: web.Request) -> web.StreamResponse:
        """End every call."""
        await self._calling.order("hangup")
        return answer(wire.Done())

    async def reject(self, request: web.Request) -> web.StreamResponse:
        """Refuse an incoming call."""
        body = wire.decode(await guard.read_body(request) or b"{}", RejectBody)
        await self._calling.order("reject", call=int(request.match_info["call"]), busy=body.busy)
        return answer(wire.Done())

    async def dtmf(self, request: web.Request) -> web.StreamResponse:
        """Send digits."""
        body = wire.decode(await guard.read_body(request), DigitsBody)
        await self._calling.order("dtmf", call=int(request.match_info["call"]), digits=body.digits)
        return answer(wire.Done())

    # ------------------------------------------------------------------ events

    async def events(self, request: web.Request) -> web.StreamResponse:
        """Stream `calls` (all of them) at first and when too much was missed, `call` at every change, `beat`."""
        if len(self._streams) >= MAX_STREAMS:
            raise PageError(
                503,
                say("Too many programs follow the calls already."),
                todo=say("Close some of them."),
                code="too_many_streams",
            )
        over = asyncio.Event()
        self._streams.add(over)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        changes = self._calling.book.changes()
        try:
            await response.prepare(request)
            await _write(response, f"retry: {RECONNECT}\n\n".encode())
            await self._follow(request, response, changes, over)
        except ConnectionError:
            pass
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(over)
            await changes.aclose()  # type: ignore[attr-defined]
        return response

    async def _follow(
        self, request: web.Request, response: web.StreamResponse, changes: AsyncIterator[Change], over: asyncio.Event
    ) -> None:
        ended = asyncio.create_task(over.wait(), name="calls stream over")
        following = asyncio.ensure_future(anext(changes))
        try:
            while not over.is_set():
                await asyncio.wait({following, ended}, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
                if not guard.stays(request):
                    await _write(response, event("gone", b""))
                    return
                if not following.done():
                    await _write(response, event("beat", b""))
                    continue
                change = following.result()
                name = "calls" if isinstance(change, CallList) else "call"
                await _write(response, event(name, wire.encode(change)))
                following = asyncio.ensure_future(anext(changes))
        finally:
            for task in (ended, following):
                task.cancel()
            await asyncio.gather(ended, following, return_exceptions=True)


PLAIN = ("answer", "hangup", "hold", "resume")
"""Orders that take nothing but the number of the call."""


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT):
        await response.write(data)


def _here(handler: Handler) -> Handler:
    """Refuse visitors of the link: only the device itself and its own programs call."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        if guard.visitor(request).channel is Channel.LINK:
            raise PageError(
                403,
                say("Calls are placed and answered on the phone itself only."),
                todo=say("Use the phone's own screen."),
                code="calls_from_link",
            )
        return await handler(request)

    return guarded
