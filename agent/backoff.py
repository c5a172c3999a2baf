"""Retry schedules by kind of error: jittered, bounded, honoring Retry-After (S11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

RETRY_AFTER_CEILING = 3600.0
"""Seconds: a Retry-After beyond an hour is obeyed as an hour, so that a typo does not switch 911 off for days."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Delays in seconds; the last one repeats. Each is jittered to [delay * (1 - jitter), delay]."""

    steps: tuple[float, ...]
    jitter: float = 0.5


TRANSIENT = Schedule((1, 2, 4, 8, 16, 30))
"""Connection lost, timeout, 5xx: the SDK's own steps (platform.md 4.4)."""
CREDENTIALS = Schedule((60, 300, 900, 1800))
"""401 and 403: at once to long waits, a ban is worse than a wait (failure 16)."""
REFUSED = Schedule((300, 900, 3600))
"""422 and the like: only a person can change the outcome."""


class Backoff:
    """Counts failures and says how long to wait; `reset()` on proven success only."""

    def __init__(self, schedule: Schedule, rng: random.Random) -> None:
        self.schedule = schedule
        self.failures = 0
        self._rng = rng

    def next(self, retry_after: float | None = None, schedule: Schedule | None = None) -> float:
        """Return the seconds to wait after one more failure."""
        if schedule is not None and schedule is not self.schedule:
            self.schedule = schedule
            self.failures = 0
        step = self.schedule.steps[min(self.failures, len(self.schedule.steps) - 1)]
        self.failures += 1
        delay = step * (1 - self.schedule.jitter * self._rng.random())
        if retry_after is None:
            return delay
        return max(delay, min(retry_after, RETRY_AFTER_CEILING) * (1 + 0.1 * self._rng.random()))

    def reset(self, schedule: Schedule = TRANSIENT) -> None:
        """Forget the failures."""
        self.schedule = schedule
        self.failures = 0
