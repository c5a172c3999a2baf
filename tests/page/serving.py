"""Runs a real PageServer for the tests: inside a test's loop, or in a thread of its own for browsers and commands."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC
from pathlib import Path
from typing import Self, TypeVar

import aiohttp

from agent.calling import Calling
from agent.config.settings import PageSettings
from agent.page.server import PageServer
from agent.page.workshop import Workshop
from tests.page.calling import Parts
from tests.page.fake_control import NOON, FakeControl

T = TypeVar("T")


class FrozenClock:
    """Stands at the tests' noon."""

    def monotonic(self) -> float:
        return 0.0

    def boottime(self) -> float:
        return 0.0

    def wall(self) -> float:
        return NOON


def make_server(
    control: FakeControl,
    folder: Path,
    port: int = 0,
    *,
    calling: Calling | None = None,
    workshop: Workshop | None = None,
) -> PageServer:
    """Return a server with a port of the kernel's choice and a socket in that folder."""
    settings = PageSettings(port=port, socket=folder / "agent.sock")
    calling = calling or Parts(folder).calling
    return PageServer(
        control, settings, clock=FrozenClock(), zone=UTC, names=("front-desk",), calling=calling, workshop=workshop
    )


@contextlib.asynccontextmanager
async def serving(control: FakeControl, folder: Path) -> AsyncIterator[tuple[PageServer, aiohttp.ClientSession]]:
    """Yield a started server and a browser-like client (cookies) whose base is the page."""
    server = make_server(control, folder)
    await server.start()
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", cookie_jar=jar) as session:
            yield server, session
    finally:
        await server.stop()


class ThreadServer:
    """A server in a thread; `call` runs a function there, as the daemon would."""

    def __init__(
        self,
        control: FakeControl,
        folder: Path,
        calling: Calling | None = None,
        workshop: Workshop | None = None,
    ) -> None:
        self.control = control
        self.socket = folder / "agent.sock"
        self.server = make_server(control, folder, calling=calling, workshop=workshop)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="page-server")

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        self.wait(self.server.start())
        return self

    def __exit__(self, *_details: object) -> None:
        """Stop it."""
        self.wait(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def restart(self, port: int | None) -> None:
        """Serve again on that port, as after a restart of the daemon."""
        self.server = make_server(self.control, self.socket.parent, port or 0)
        self.wait(self.server.start())

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server.port}"

    def wait(self, work: Coroutine[object, object, T]) -> T:
        """Run a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def call(self, work: Callable[[], T]) -> T:
        """Run a function in the server's loop."""

        async def inside() -> T:
            return work()

        return self.wait(inside())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


@contextlib.contextmanager
def thread_server(folder: Path) -> Iterator[ThreadServer]:
    """Yield a server in a thread with a fresh fake daemon."""
    with ThreadServer(FakeControl(), folder) as running:
        yield running
