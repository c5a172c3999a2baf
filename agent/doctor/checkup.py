"""Check-ups of the running agent: one at a time, the newest results at hand while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from agent.doctor.examine import ALL, examine
from agent.doctor.result import TITLES, Finding, Report, Result
from agent.doctor.world import World
from agent.runtime.tasks import end
from agent.say import say

Examine = Callable[..., Awaitable[Report]]


class CheckUp:
    """Starts check-ups and remembers what they found."""

    def __init__(self, world: Callable[[], World], examine: Examine = examine) -> None:
        self._world = world
        self._examine = examine
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self.results: tuple[Result, ...] = ()
        """What is known of the newest check-up, in the order of the report."""
        self.report: Report | None = None
        """The newest finished one, whatever its scope."""
        self.world: World | None = None
        """Of the newest one."""
        self.scope: tuple[str, ...] = ()
        """Names of the checks of the newest one."""

    @property
    def running(self) -> bool:
        """A check-up is under way."""
        return self._task is not None and not self._task.done()

    def start(self, only: Iterable[str] = ALL) -> None:
        """Begin one in the background; one that runs with the same scope goes on, another one ends."""
        scope = tuple(only)
        if self.running and scope == self.scope:
            return
        if self._task is not None:
            self._task.cancel()
        self.scope = scope
        self.results = tuple(Result(name, Finding.RUNNING, say("Being tested.")) for name in TITLES if name in scope)
        self._task = asyncio.create_task(self._run(scope), name="check-up")

    async def run(self, only: Iterable[str] = ALL) -> Report:
        """Make one and return its report."""
        scope = tuple(only)
        async with self._lock:
            self.scope, self.world = scope, self._world()
            self.report = await self._examine(self.world, only=scope, on_result=self._hear)
            self.results = self.report.results
            return self.report

    async def stop(self) -> None:
        """End what runs."""
        if self._task is not None:
            await end(self._task)

    async def _run(self, scope: tuple[str, ...]) -> None:
        await self.run(scope)

    def _hear(self, results: tuple[Result, ...]) -> None:
        self.results = results
