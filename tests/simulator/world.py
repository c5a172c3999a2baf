"""A simulator on loopback and raw clients for it: plain HTTP and frames, nothing of our own client code."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from agent.simulator.core import SECRET_KEY, Platform
from agent.simulator.log import Entry
from agent.simulator.server import Simulator, SimulatorConfig

OFFICE = "127.0.0.1"
HOME = "127.0.7.2"
NEXT_DOOR = "127.0.0.77"
"""In the office's /24."""
ADDRESSES = "/v1/me/emergency-addresses"
MAIN_STREET = {
    "address_number": "123",
    "street": "Main St",
    "unit": "Suite 400",
    "city": "San Francisco",
    "state": "CA",
    "postal_code": "94105",
    "country": "US",
}
SUBPROTOCOL = "dialstack.webrtc.v1"
WAIT = 5.0


@dataclass
class Answer:
    """One HTTP answer."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(repr=False)


class Phone:
    """A raw signalling socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **frame: Any) -> None:
        await self.socket.send_json(frame)

    async def frame(self) -> dict[str, Any]:
        """Return the next frame; a closed socket is `{"type": "closed", "code": ...}`."""
        message = await self.socket.receive(timeout=WAIT)
        if message.type is aiohttp.WSMsgType.TEXT:
            frame: dict[str, Any] = message.json()
            return frame
        return {"type": "closed", "code": self.socket.close_code}

    async def types_until_pong(self) -> list[str]:
        """Return the types of every frame that comes before the answer to a ping."""
        await self.send(type="ping", req_id="until")
        types: list[str] = []
        while True:
            frame = await self.frame()
            if frame["type"] in {"pong", "closed"}:
                return types
            types.append(frame["type"])

    async def close(self) -> None:
        await self.socket.close()


class World:
    """The simulator with clients from several networks."""

    def __init__(self, simulator: Simulator, stack: contextlib.AsyncExitStack) -> None:
        self.simulator = simulator
        self._stack = stack
        self._clients: dict[str, aiohttp.ClientSession] = {}
        self._phones: list[Phone] = []
        """Held: a socket that nobody holds is closed by the garbage collector."""

    @property
    def platform(self) -> Platform:
        return self.simulator.platform

    async def client(self, source: str = OFFICE) -> aiohttp.ClientSession:
        if source not in self._clients:
            connector = aiohttp.TCPConnector(local_addr=(source, 0), force_close=True)
            client = aiohttp.ClientSession(connector=connector)
            self._clients[source] = await self._stack.enter_async_context(client)
        return self._clients[source]

    async def rest(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        base: str = "api",
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        """Send one request; `key` goes into Authorization."""
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {key}"} if key else {})
        client = await self.client()
        url = self.simulator.urls[base] + path
        async with client.request(method, url, json=body, data=data, headers=sent) as response:
            is_json = response.content_type == "application/json"
            content = await response.json() if is_json else await response.text()
            return Answer(response.status, content, response.headers.copy())

    async def token(self, user: str = "user_1", **more: Any) -> str:
        answer = await self.rest("POST", "/v1/user_sessions", {"user": user, **more}, key=SECRET_KEY)
        assert answer.status == 201, answer
        return str(answer.body["client_secret"])

    async def address(self, user: str = "user_1", **changes: str) -> str:
        """Save an address over REST and return its id."""
        answer = await self.rest("POST", ADDRESSES, MAIN_STREET | changes, key=await self.token(user))
        assert answer.status in {200, 201}, answer
        return str(answer.body["id"])

    async def anchor(self, number: str, user: str = "user_1") -> str | None:
        """Read `registered_ip` back over REST."""
        answer = await self.rest("GET", f"{ADDRESSES}/{number}", key=await self.token(user))
        found: str | None = answer.body["registered_ip"]
        return found

    async def open(self, source: str = OFFICE) -> Phone:
        client = await self.client(source)
        phone = Phone(await client.ws_connect(self.simulator.urls["signalling"], protocols=(SUBPROTOCOL,)))
        self._phones.append(phone)
        return phone

    async def connect(self, present: Any = None, *, user: str = "user_1", source: str = OFFICE) -> Phone:
        """Open a socket and send `authenticate`; what comes back is the caller's to read."""
        phone = await self.open(source)
        frame = {"type": "authenticate", "req_id": "req_1", "token": await self.token(user)}
        await phone.send(**(frame if present is None else frame | {"emergency_address_id": present}))
        return phone

    async def session(self, present: Any = None, *, user: str = "user_1", source: str = OFFICE) -> Phone:
        """Connect and read `authenticated`."""
        phone = await self.connect(present, user=user, source=source)
        assert (await phone.frame())["type"] == "authenticated"
        return phone

    async def happened(self, kind: str, **match: Any) -> Entry:
        """Wait until the platform's log has such an entry, and return it."""
        found = self.platform.log.entries(kind, **match)
        if found:
            return found[0]
        came: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()

        def listen(entry: Entry) -> None:
            matches = entry.kind == kind and all(entry.fields.get(name) == value for name, value in match.items())
            if matches and not came.done():
                came.set_result(entry)

        self.platform.log.listeners.append(listen)
        try:
            async with asyncio.timeout(WAIT):
                return await came
        finally:
            self.platform.log.listeners.remove(listen)


@contextlib.asynccontextmanager
async def world(run: Path, *, sip: bool = False, **config: Any) -> AsyncIterator[World]:
    """Start a simulator with the users user_1 (phone: alice) and user_2 (phone: bob)."""
    users = (
        {"id": "user_1", "sip_username": "alice", "sip_password": "wonderland"},
        {"id": "user_2", "account": "acct_2", "sip_username": "bob", "sip_password": "builder"},
    )
    ports = {"api_port": 0, "control_port": 0, "sip_port": 0, "psap_port": 0, "tls_port": 0, "sips_port": 0}
    settings = SimulatorConfig(run=run, sip=sip, users=users, **(ports | config))
    async with contextlib.AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(settings))
        yield World(simulator, stack)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine, with an end to everything."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main

    asyncio.run(bounded())


@dataclass
class FakeClock:
    """Three clocks that move together, by hand."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + 1_700_000_000.0
