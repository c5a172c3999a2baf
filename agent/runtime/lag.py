"""How late the event loop is: what waits in it waits that long, the light too."""

from __future__ import annotations

import asyncio
from collections import deque

from agent.clock import Clock
from agent.runtime.liveness import waiting

EVERY = 5.0
"""Seconds between looks: two wakeups in ten seconds are nothing, a hang of half a minute is seen."""
KEPT = 12
"""Looks that are remembered: one minute, a usual scrape interval."""


class Lag:
    """Sleeps and looks how much later it woke."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[float] = deque(maxlen=KEPT)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = self._clock.monotonic() + EVERY
            with waiting():
                await asyncio.sleep(EVERY)
            self.seen(self._clock.monotonic() - due)

    def seen(self, late: float) -> None:
        """Take one look, in seconds."""
        self._seen.append(max(0.0, late))

    def worst(self) -> float:
        """Return the worst of the last minute, in seconds."""
        return max(self._seen, default=0.0)
