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
    """Keeps the announcement what the page is: `wanted` returns its name and port on the link, None while closed."""

    def __init__(self, wanted: Callable[[], tuple[str, int] | None], program: str = PROGRAM) -> None:
        self._wanted = wanted
        self._program = program
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Look again: the page was opened or closed, or is called otherwise."""
        self._changed.set()

    async def run(self) -> None:
        """Announce until cancelled."""
        while True:
            self._changed.clear()
            wanted = self._wanted()
            if wanted is None:
                await self._changed.wait()
            elif shutil.which(self._program) is None:
                log.info("%s is not installed: the page is not announced on the link", self._program)
                await self._changed.wait()
            else:
                await self._while(wanted)

    async def _while(self, wanted: tuple[str, int]) -> None:
        """Announce for as long as this is what is wanted."""
        over = asyncio.create_task(self._until_other(wanted), name="page-announce-changed")
        attempt = 0
        try:
            while not over.done():
                child = asyncio.create_task(self._publish(*wanted), name="page-announce-child")
                await asyncio.wait({over, child}, return_when=asyncio.FIRST_COMPLETED)
                await end(child)
                if not over.done():
                    await asyncio.wait({over}, timeout=AGAIN[min(attempt, len(AGAIN) - 1)])
                    attempt += 1
        finally:
            await end(over)

    async def _until_other(self, wanted: tuple[str, int]) -> None:
        while self._wanted() == wanted:
            await self._changed.wait()
            self._changed.clear()

    async def _publish(self, device: str, port: int) -> None:
        """Run the child to its end; it publishes as long as it lives."""
        name = fitting(device)
        process = await asyncio.create_subprocess_exec(
            self._program, "--service", "--", name, SERVICE, str(port), "path=/",
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        log.info("the page is announced on the link as %r", name)
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
