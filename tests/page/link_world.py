"""The page on a link for the tests: addresses of 127.0.0.0/8 play a LAN, its neighbors, and strangers elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from unittest import mock

import aiohttp

from agent.config.settings import PageSettings
from agent.page.access import pins as pins_module
from agent.page.access.access import Access
from agent.page.access.links import LinkAddress
from agent.page.access.pins import Pins
from agent.page.routes import Role
from agent.page.server import PageServer
from tests.page.calling import Parts
from tests.page.client import token_in
from tests.page.fake_control import NOON, FakeControl
from tests.page.workshop import make_workshop

PHONE = "127.0.0.2"
"""The device's address on the LAN 127.0.0.0/24."""
LAPTOP, OTHER_LAPTOP = "127.0.0.9", "127.0.0.10"
STRANGER = "127.0.1.9"
"""Not on that LAN."""
LAN = LinkAddress(PHONE, ipaddress.ip_network("127.0.0.0/24"), "eth0")
POLLS = 4000
"""Looks at the sockets until a test gives up; no expectation about speed."""
STAFF_PIN, TECHNICIAN_PIN = "402816", "95173048"


@dataclass
class HandClock:
    """Stands until it is set."""

    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOON + self.now


@dataclass
class World:
    """A server on loopback and on the link, and who talks to it."""

    control: FakeControl
    server: PageServer
    clock: HandClock
    _stack: contextlib.AsyncExitStack = field(repr=False)
    parts: Parts
    """Calls and test calls."""

    @property
    def access(self) -> Access:
        return self.server.access

    def link_url(self) -> str:
        assert self.server.link is not None
        return self.server.link.urls()[0].rstrip("/")

    async def browser(self, source: str = LAPTOP) -> aiohttp.ClientSession:
        """Return a browser at an address of the LAN, or of elsewhere."""
        connector = aiohttp.TCPConnector(ssl=trusting(), local_addr=(source, 0))
        return await self._open(self.link_url(), connector)

    async def screen(self) -> aiohttp.ClientSession:
        """Return a browser on the device's own screen."""
        return await self._open(f"http://127.0.0.1:{self.server.port}", aiohttp.TCPConnector())

    async def _open(self, url: str, connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
        jar = aiohttp.CookieJar(unsafe=True)
        return await self._stack.enter_async_context(aiohttp.ClientSession(url, connector=connector, cookie_jar=jar))

    async def settled(self, *, open_: bool) -> None:
        """Wait until the link is open, or closed."""
        assert self.server.link is not None
        for _ in range(POLLS):
            if bool(self.server.link.urls()) is open_:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"the link was not {'opened' if open_ else 'closed'}")


def trusting() -> ssl.SSLContext:
    """Return TLS that takes any certificate, as somebody does who clicks the warning away."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def link_world(
    folder: Path, *, pins: bool = True, local_role: str = "staff", workshop: bool = False
) -> AsyncIterator[World]:
    """Yield a started server that wants to be on the link, with both PINs set and, if wanted, technicians' pages."""
    settings = PageSettings(
        listen="link",
        announce=False,
        port=0,
        https_port=0,
        socket=folder / "agent.sock",
        local_role=local_role,  # type: ignore[arg-type]
    )
    control, clock = FakeControl(), HandClock()
    access = Access(settings, clock, pins=Pins(folder / "pins.json"))
    access.links.mine = (LAN,)
    parts = Parts(folder)
    server = PageServer(
        control, settings, clock=clock, zone=UTC, names=("front-desk",), access=access, state=folder,
        calling=parts.calling, metrics=lambda: "metric 1", workshop=make_workshop(folder) if workshop else None,
    )  # fmt: skip
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(pins_module, "COST", 16))  # what scrypt costs is not looked at here
        await server.start()
        stack.push_async_callback(server.stop)
        await parts.voice.start()
        stack.callback(parts.voice.stop)
        world = World(control, server, clock, stack, parts)
        if pins:
            await access.set_pin(Role.STAFF, STAFF_PIN)
            await access.set_pin(Role.TECHNICIAN, TECHNICIAN_PIN)
            await world.settled(open_=True)
        async with asyncio.timeout(60):
            yield world


def play_link(
    folder: Path, scenario: Callable[[World], Awaitable[None]], *, pins: bool = True, local_role: str = "staff"
) -> None:
    """Run a scenario."""

    async def inside() -> None:
        async with link_world(folder, pins=pins, local_role=local_role) as world:
            await scenario(world)

    asyncio.run(inside())


async def sign_in(browser: aiohttp.ClientSession, pin: str) -> tuple[int, str]:
    """Give a PIN on the page; return status and page."""
    async with browser.get("/login") as response:
        token = token_in(await response.text())
    async with browser.post("/login", data={"csrf": token, "pin": pin}, allow_redirects=False) as response:
        return response.status, await response.text()
