"""Drives PJSIP from the asyncio loop: awake while something is going on, asleep on its sockets otherwise.

PJSIP tells nobody when its next timer is due, but while nothing is in flight none of its timers matters. So: ticks
of 10 ms while a transaction or a call is going on, a slow tick otherwise, and at all times the loop watches PJSIP's
own sockets, so that what comes in is handled at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from typing import Final

from agent.voice.log import log
from agent.voice.pjsip import sockets

FAST: Final = 0.01
"""Seconds between ticks while busy: RTP frames are 20 ms."""
SLOW: Final = 2.0
"""Seconds between ticks while idle."""
LINGER: Final = 0.3
"""Seconds that fast ticks go on after something happened: next steps follow soon."""
STRAY_LIMIT: Final = 50
"""Wakeups in a row that brought nothing: PJSIP does not read this socket, so stop listening to it."""


class Pump:
    """Calls `poll` (returns how much it handled) and `after` when due; `busy` says that ticks must be fast."""

    def __init__(self, poll: Callable[[], int], after: Callable[[], None], busy: Callable[[], bool]) -> None:
        self._poll = poll
        self._after = after
        self._busy = busy
        self._fast_until = 0.0
        self._kick = asyncio.Event()
        self._watched: dict[int, str] = {}
        self._kinds: dict[str, bool] = {}
        self._deaf: set[str] = set()
        self._stray = 0

    def hurry(self) -> None:
        """Something was started: tick now, and fast for a while."""
        self._fast_until = asyncio.get_running_loop().time() + LINGER
        self._kick.set()

    async def run(self) -> None:
        """Tick until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._kick.clear()
                self._tick()
                self._listen(self._internet_sockets())
                fast = self._busy() or loop.time() < self._fast_until
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FAST if fast else SLOW):
                        await self._kick.wait()
        finally:
            self._listen({})

    def _tick(self) -> int:
        handled = 0
        try:
            handled = self._poll()
            self._after()
        except Exception as error:  # noqa: BLE001 - the supervisor: a bug of ours must not end a call
            where = traceback.extract_tb(error.__traceback__)[-1]
            log("bug", "error", error=repr(error), where=f"{where.filename}:{where.lineno}")
        if handled:
            self._fast_until = asyncio.get_running_loop().time() + LINGER
        return handled

    def _readable(self, descriptor: int) -> None:
        handled = self._tick()
        self._stray = 0 if handled else self._stray + 1
        if self._stray >= STRAY_LIMIT:
            self._deaf.add(self._watched.get(descriptor, ""))
            self._listen({fd: inode for fd, inode in self._watched.items() if fd != descriptor})
            self._stray = 0

    def _listen(self, found: dict[int, str]) -> None:
        """Watch PJSIP's sockets, known by their inodes as they come and go inside PJSIP."""
        loop = asyncio.get_running_loop()
        for descriptor in [fd for fd, inode in self._watched.items() if found.get(fd) != inode]:
            loop.remove_reader(descriptor)
            del self._watched[descriptor]
        for descriptor, inode in found.items():
            if descriptor not in self._watched and inode not in self._deaf:
                with contextlib.suppress(OSError):
                    loop.add_reader(descriptor, self._readable, descriptor)
                    self._watched[descriptor] = inode

    def _internet_sockets(self) -> dict[int, str]:
        """Return descriptor -> inode of PJSIP's sockets; what an inode is gets looked up once."""
        found: dict[int, str] = {}
        known: dict[str, bool] = {}
        for descriptor, inode in sockets.all_of_us():
            with contextlib.suppress(OSError):
                known[inode] = self._kinds[inode] if inode in self._kinds else sockets.is_internet(descriptor)
                if known[inode]:
                    found[descriptor] = inode
        self._kinds = known
        return found
