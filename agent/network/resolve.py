"""Host names to addresses without ever making anyone wait for DNS: a deadline, a thread, the last good answer."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable

log = logging.getLogger(__name__)

DEADLINE = 5.0
"""Seconds for one look-up; the thread may hang longer, nobody waits for it."""


RETRY = 5.0
"""Seconds between look-ups of a name that was never answered: at boot DNS may be later than we are."""


async def look_up(host: str) -> list[str]:
    """Ask the system's resolver on a thread of its own; raise OSError or UnicodeError as getaddrinfo does.

    Not the loop's executor: a look-up hung in a dead DNS server would keep the whole process from ending.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error:
            answer.set_exception(error)
        else:
            answer.set_result(found)

    def ask() -> None:
        found: list[str] = []
        error: Exception | None = None
        try:
            found = [str(one[4][0]) for one in socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)]
        except (OSError, UnicodeError) as failure:
            error = failure
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    return await answer


class Resolver:
    """Knows the addresses of one host, IPv4 first.

    pjsua2 and the platform's anchors speak IPv4 by default: IPv6 is the path only where there is no IPv4 one.
    """

    def __init__(
        self, host: str, on_change: Callable[[], None], ask: Callable[[str], Awaitable[Iterable[str]]] = look_up
    ) -> None:
        self._host = host.strip("[]")
        self._on_change = on_change
        self._ask = ask
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._said = ""
        """What the journal has heard of the last failure."""
        self._retry: asyncio.TimerHandle | None = None
        try:
            self.addresses: tuple[str, ...] = (str(ipaddress.ip_address(self._host)),)
            """The last good answer, empty before the first one."""
            self._literal = True
        except ValueError:
            self.addresses = ()
            self._literal = not self._host

    def refresh(self) -> None:
        """Look up again in the background; `on_change` is called if the answer differs. Never raises, never waits."""
        if self._literal:
            return
        self._again = True
        if not self._task or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"resolve {self._host}")

    async def settled(self) -> None:
        """Return when no look-up is under way."""
        if self._task:
            await asyncio.wait([self._task])

    def drop(self) -> None:
        """Stop without waiting: another host took its place."""
        self._on_change = lambda: None
        if self._retry:
            self._retry.cancel()
        if self._task:
            self._task.cancel()

    async def close(self) -> None:
        """Stop waiting for an answer."""
        if self._retry:
            self._retry.cancel()
        if self._task:
            self._task.cancel()
            await self.settled()

    async def _run(self) -> None:
        while self._again:  # one running, one pending
            self._again = False
            found = await self._addresses()
            if found and found != self.addresses:
                self.addresses = found
                self._on_change()
        if not self.addresses:
            self._retry = asyncio.get_running_loop().call_later(RETRY, self.refresh)

    async def _addresses(self) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(DEADLINE):
                found = dict.fromkeys(await self._ask(self._host))
        except (OSError, TimeoutError, UnicodeError) as error:
            said = f"No address for {self._host} ({error!r}); the last known ones are {self.addresses or 'none'}."
            if said != self._said:  # asked every few seconds for as long as there is no network
                log.info("%s", said)
            self._said = said
            return ()
        self._said = ""
        return tuple(sorted(found, key=lambda address: ":" in address))
