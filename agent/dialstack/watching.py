"""Watching a signalling session, so that a verdict is never missed while something else is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.dialstack.ports import Closed, Session
from agent.runtime.tasks import end

T = TypeVar("T")


class SessionOver(Exception):
    """The session ended or was denied while something was waited for."""


class Watch:
    """Consumes a session's events, so that a verdict is never missed while something else is awaited."""

    def __init__(self, session: Session, poke: asyncio.Event) -> None:
        self.session = session
        self.closed: Closed | None = None
        self.denied = session.denied
        self.bad = asyncio.Event()
        if self.denied:
            self.bad.set()
        self._poke = poke
        self.task = asyncio.create_task(self._run(), name="session-watch")

    async def _run(self) -> None:
        async for event in self.session.events():
            if isinstance(event, Closed):
                self.closed = event
            else:
                self.denied = True
            self.bad.set()
            self._poke.set()

    async def race(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work`, or raise SessionOver as soon as the session is over or denied."""
        task = asyncio.ensure_future(work)
        bad = asyncio.ensure_future(self.bad.wait())
        try:
            await asyncio.wait({task, bad}, return_when=asyncio.FIRST_COMPLETED)
            if self.bad.is_set():
                raise SessionOver
            return task.result()
        finally:
            await end(task, bad)
