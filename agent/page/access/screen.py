"""The page's port on the device's own screen: a change of the port never shuts out who stands before the device."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from agent.config.settings import PageSettings
from agent.config.side import SCREEN
from agent.errors import NeedsHuman
from agent.page.access.door import Door
from agent.page.access.guard import is_loopback
from agent.page.access.sockets import listen_tcp
from agent.say import say

PORT_RETRY: Final = (2.0, 5.0, 15.0, 60.0)
"""Seconds between attempts to open a port that another program holds; the last one repeats."""
KEPT: Final = 2
"""Ports that are open at once: the one that the settings name, and the one before, where a kiosk's browser still is."""

log = logging.getLogger(__name__)

Where = tuple[str, int]


class ScreenPort:
    """Keeps the port open that the settings name; while it cannot be had, the one before."""

    def __init__(self, door: Callable[[], Door]) -> None:
        self.port: int | None = None
        """The TCP port in use; None while there is none."""
        self.problem: NeedsHuman | None = None
        """Why the settings' port is not open; None when it is, or none is wanted."""
        self._door = door
        self._wanted: Where | None = None
        self._open: dict[Where, asyncio.Server] = {}
        """Newest last."""
        self._changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def use(self, settings: PageSettings) -> None:
        """Go by these settings; tries once before it returns."""
        host = settings.listen if is_loopback(settings.listen) else SCREEN
        self._wanted = (host, settings.port) if settings.enabled else None
        await self._reconcile()
        self._changed.set()

    def holds(self, port: int) -> bool:
        """Tell whether a port is one of ours."""
        return any(port in {one.getsockname()[1] for one in server.sockets} for server in self._open.values())

    async def run(self) -> None:
        """Try again what could not be opened, until cancelled."""
        attempt = 0
        while True:
            self._changed.clear()
            done = await self._reconcile()
            wait = None if done else PORT_RETRY[min(attempt, len(PORT_RETRY) - 1)]
            attempt = 0 if done else attempt + 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def close(self) -> None:
        """Stop listening; connections that are open stay."""
        for server in self._open.values():
            server.close()
        self._open, self.port = {}, None

    async def _reconcile(self) -> bool:
        """Make the sockets fit; False: it is to be tried again."""
        async with self._one_at_a_time:
            wanted = self._wanted
            if wanted is None:
                self.close()
                self.problem = None
                return True
            try:
                server = self._open.pop(wanted, None) or await listen_tcp(*wanted, self._door())
            except NeedsHuman as error:
                self._complain(error)
                return False
            self._open[wanted] = server
            while len(self._open) > KEPT:
                self._open.pop(next(iter(self._open))).close()
            if self.port != (port := server.sockets[0].getsockname()[1]):
                log.info("the page is on port %s", port)
            self.port, self.problem = port, None
            return True

    def _complain(self, error: NeedsHuman) -> None:
        if self.port is not None:
            error = NeedsHuman(
                say("{happened} It stays on port {port}.", happened=error.happened, port=self.port),
                emergency=say("911 and 933 still go out; the page is open on the phone's own screen."),
                todo=say("Stop the other program, or set page.port to another one."),
                code=error.code,
            )
        if str(self.problem) != str(error):
            log.warning("%s", error)
        self.problem = error
