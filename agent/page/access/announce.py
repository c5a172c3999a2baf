"""Tells the link by mDNS where the page is (RFC 6763), through the device's Avahi.

`avahi-publish` is a child that sleeps and never wakes us. A library in this process would be 4 MiB and would wake it
for every mDNS packet of the LAN; a service file under /etc/avahi would need root and outlive a crash.
Without Avahi nothing is announced, and everything else works.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable

from agent.runtime.tasks import end

PROGRAM = "avahi-publish"
SERVICE = "_https._tcp"
MAX_NAME = 63
"""Bytes of a service's name (RFC 6763 4.1.1)."""
AGAIN = (5.0, 30.0, 300.0)
"""Seconds until it is started again when Avahi does not run or went away; the last one repeats."""
LAST_WORDS = 2.0
"""Seconds in which the child must have ended."""

log = logging.getLogger(__name__)


class Announcer:
    """Keeps the announcement what the page is: `port` returns the port of HTTPS on the link, None while closed."""

    def __init__(self, name: str, port: Callable[[], int | None], program: str = PROGRAM) -> None:
        self._name = fitting(name)
        self._port = port
        self._program = program
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Look again: the page was opened or closed."""
        self._changed.set()

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            self._changed.clear()
            port = self._port()
            if port is None:
                await self._changed.wait()
            elif shutil.which(self._program) is None:
                log.info("%s is not installed: the page is not announced on the link", self._program)
                await self._changed.wait()
            else:
                await self._while_open(port)

    async def _while_open(self, port: int) -> None:
        changed = asyncio.create_task(self._changed.wait(), name="page-announce-changed")
        attempt = 0
        try:
            while not changed.done():
                child = asyncio.create_task(self._publish(port), name="page-announce-child")
                await asyncio.wait({changed, child}, return_when=asyncio.FIRST_COMPLETED)
                await end(child)
                if not changed.done():
                    await asyncio.wait({changed}, timeout=AGAIN[min(attempt, len(AGAIN) - 1)])
                    attempt += 1
        finally:
            await end(changed)

    async def _publish(self, port: int) -> None:
        """Run the child to its end; it publishes as long as it lives."""
        process = await asyncio.create_subprocess_exec(
            self._program, "--service", "--", self._name, SERVICE, str(port), "path=/",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        log.info("the page is announced on the link as %r", self._name)
        try:
            status = await process.wait()
            log.info("%s ended with %d: is avahi-daemon running?", self._program, status)
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(LAST_WORDS):
                        await process.wait()
                except TimeoutError:
                    process.kill()


def fitting(name: str) -> str:
    """Return a name that fits a service, never empty and never an option."""
    printable = "".join(char for char in name if char.isprintable()).strip()
    return printable.encode()[:MAX_NAME].decode(errors="ignore").strip() or "Phone"
