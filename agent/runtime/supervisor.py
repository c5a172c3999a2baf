"""Keeps named tasks alive: a crash is logged, recorded as blindness (S12), and followed by a new start."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from agent.backoff import Backoff, Schedule
from agent.clock import Clock
from agent.model import Gap
from agent.say import say

RESTART = Schedule((0.2, 1, 2, 5, 10, 30))
"""Seconds before a crashed worker starts again."""
CALM = 60.0
"""Seconds of running after which earlier crashes are forgotten."""

_logger = logging.getLogger("agent")


async def supervise(
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    clock: Clock,
    rng: random.Random,
    on_gap: Callable[[Gap], None],
) -> None:
    """Run `work` for ever; the only place where any exception is caught."""
    backoff = Backoff(RESTART, rng)
    while True:
        began = clock.monotonic()
        try:
            await work()
        except Exception:
            _logger.exception(
                "worker %s failed; it is started again. 911 does not depend on it.", name, extra=_fields(name)
            )
        else:
            _logger.error("worker %s ended; it is started again. 911 does not depend on it.", name, extra=_fields(name))
        if clock.monotonic() - began > CALM:
            backoff.reset(RESTART)
        delay = backoff.next()
        try:
            on_gap(Gap("dead_worker", delay, say("{worker} stopped and starts again", worker=name)))
        except Exception:
            _logger.exception("the gap of worker %s could not be recorded", name)
        await asyncio.sleep(delay)


def _fields(name: str) -> dict[str, object]:
    return {"fields": {"event": "worker", "worker": name}}
