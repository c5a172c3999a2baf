"""Our clients against the simulator, and a scripted server for what the simulator never says."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from agent.config.settings import PlatformSettings
from agent.dialstack.ports import Token
from agent.dialstack.rest import RestClient
from agent.dialstack.signalling import SUBPROTOCOL, WebSocketSession, WebSocketSignalling
from agent.errors import AgentError, NeedsHuman
from agent.model import CivicAddress

CIVIC = CivicAddress("123", "Main St", "San Francisco", "CA", "94105", "Suite 400")
ELSEWHERE = {
    "address_number": "77",
    "street": "Pike St",
    "city": "Seattle",
    "state": "WA",
    "postal_code": "98101",
}
NOON = 1_780_000_000.0
"""A wall clock after the program was written."""


class Clock:
    """Three clocks that a test moves apart."""

    def __init__(self) -> None:
        self.mono = 100.0
        self.boot = 500.0
        self.unix = NOON

    def monotonic(self) -> float:
        return self.mono

    def boottime(self) -> float:
        return self.boot

    def wall(self) -> float:
        return self.unix

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.boot += seconds
        self.unix += seconds


class Source:
    """A token source with a pile of tokens: `renew` takes the next one."""

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)
        self.renewed = 0

    async def get(self) -> Token:
        return Token(self.secrets[0], None, None)

    async def renew(self, refused: Token) -> Token:
        assert refused.secret == self.secrets[0]
        self.renewed += 1
        if len(self.secrets) == 1:
            raise NeedsHuman("There is no other token.", code="token_expired")
        self.secrets.pop(0)
        return await self.get()

    def forget(self) -> None:
        raise AssertionError("nothing here forgets a token")


def jwt(**claims: object) -> str:
    """Return a token with these claims; nobody but the platform verifies the signature."""

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'EdDSA'})}.{part(claims)}.c2lnbmF0dXJl"


@contextlib.asynccontextmanager
async def client(api: str, *secrets: str, **platform: Any) -> AsyncIterator[RestClient]:
    """Open a REST client with tokens."""
    rest = RestClient(PlatformSettings(api=api, **platform), Source(*secrets))
    try:
        yield rest
    finally:
        await rest.close()


@contextlib.asynccontextmanager
async def session(
    rest: RestClient, secret: str, present: str | None = None, **platform: Any
) -> AsyncIterator[WebSocketSession]:
    """Open a signalling session that leaves through a REST client's connections."""
    settings = PlatformSettings(**{"api": rest._settings.api, **platform})
    opened = await WebSocketSignalling(settings, rest.http).open(Token(secret, None, None), present, None)
    try:
        yield opened
    finally:
        await opened.close()


async def refused(work: Awaitable[object]) -> AgentError:
    """Return the error that some work ends with."""
    with pytest.raises(AgentError) as caught:
        await work
    return caught.value


# ------------------------------------------------------------------ a server that says what it is told


@dataclass
class Served:
    """What reached a scripted server."""

    url: str = ""
    requests: list[web.Request] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)

    def secrets(self) -> list[str]:
        """Return the credentials that were sent here."""
        return [request.headers["Authorization"] for request in self.requests if "Authorization" in request.headers]


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Served]:
    """Answer every request on loopback with one handler."""
    served = Served()

    async def note(request: web.Request) -> web.StreamResponse:
        served.requests.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", note)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


class Line:
    """The platform's end of one scripted signalling connection."""

    def __init__(self, socket: web.WebSocketResponse, served: Served) -> None:
        self.socket = socket
        self._served = served

    async def hear(self) -> dict[str, Any]:
        """Return the next frame of the device."""
        frame: dict[str, Any] = await self.socket.receive_json()
        self._served.frames.append(frame)
        return frame

    async def say(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def silence(self) -> None:
        """Hear frames and answer none, until the device goes."""
        async for message in self.socket:
            self._served.frames.append(json.loads(message.data))


@contextlib.asynccontextmanager
async def talking(script: Callable[[Line], Coroutine[Any, Any, None]]) -> AsyncIterator[Served]:
    """Play a script on each signalling connection; it is closed where the script ends."""
    box: list[Served] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,))
        await socket.prepare(request)
        with contextlib.suppress(TypeError, ConnectionError):  # the device went while the script was waiting for it
            await script(Line(socket, box[0]))
        return socket

    async with serving(handle) as served:
        box.append(served)
        yield served
