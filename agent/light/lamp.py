"""The light as it is now, since when, how the work goes, and whoever waits for a change of either."""

from __future__ import annotations

import asyncio

from agent.clock import Clock
from agent.control import Step
from agent.light.exposure import Exposure
from agent.light.progress import Progress
from agent.light.status import Light
from agent.model import StatusKind
from agent.runtime.liveness import waiting
from agent.runtime.log import trace
from agent.storage.store import Store


class Lamp:
    """Shows one light at a time; changes of it are recorded and measured."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self.light = Light(StatusKind.CONNECTING, "starting", "", "")
        self.since = clock.wall()
        """Unix seconds."""
        self.exposure = Exposure(store, clock)
        self.progress = Progress(clock)
        self._version = 0
        self._changed = asyncio.Event()

    def show(self, fresh: Light, event_at: float | None) -> None:
        """Take the newest light; `event_at` is when the network last changed, in monotonic seconds."""
        if fresh == self.light:
            return
        if fresh.kind is not self.light.kind:
            self.since = self._clock.wall()
        trace("status", kind=fresh.kind, cause=fresh.cause, sentence=fresh.sentence)
        self.exposure.moved(fresh.kind, fresh.cause, event_at)
        self._store.past.changed(self._clock.wall(), fresh.kind, fresh.cause, fresh.sentence)
        self.light = fresh

    def tell(self, work: tuple[object, ...], steps: tuple[Step, ...]) -> None:
        """Take the newest progress and tell whoever waits."""
        self.progress.follow(work, steps)
        self._version += 1
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def clock_set(self, step: float) -> None:
        """Move what is told in wall time along with the clock (failure 11)."""
        self.since += step
        self.exposure.clock_set(step)
        self.progress.clock_set(step)

    async def wait_change(self, version: int) -> int:
        """Return the newest version as soon as it differs from the one given."""
        with waiting():
            while version == self._version:
                await self._changed.wait()
        return self._version
