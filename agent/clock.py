"""Three clocks, injected: monotonic for durations, boottime to notice sleep, wall for people."""

from __future__ import annotations

import time
from typing import Protocol

SANE_WALL = 1_767_225_600.0
"""2026-01-01: a wall clock before this program was written is no clock (failure 11)."""


class Clock(Protocol):
    """Where time comes from."""

    def monotonic(self) -> float:
        """Seconds that never step; stand still in suspend (CLOCK_MONOTONIC)."""
        ...

    def boottime(self) -> float:
        """Seconds that never step and run through suspend (CLOCK_BOOTTIME)."""
        ...

    def wall(self) -> float:
        """Unix seconds; may step."""
        ...


class SystemClock:
    """The kernel's clocks."""

    def monotonic(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def boottime(self) -> float:
        """See `Clock`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """See `Clock`."""
        return time.time()


class SleepDetector:
    """Tells a suspend from a clock step (failures 10, 11): compares how the three clocks moved."""

    SUSPEND = 2.0
    """Seconds that boottime must gain on monotonic: below it is scheduling noise."""
    STEP = 5.0
    """Seconds that wall must leave boottime: below it is NTP slewing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleep = clock.boottime() - clock.monotonic()
        self._offset = clock.wall() - clock.boottime()

    def check(self) -> tuple[float, float]:
        """Return (seconds asleep, seconds of clock step) since the last call, 0.0 for neither."""
        sleep = self._clock.boottime() - self._clock.monotonic()
        offset = self._clock.wall() - self._clock.boottime()
        asleep, step = sleep - self._sleep, offset - self._offset
        self._sleep = sleep
        self._offset = offset
        return (asleep if asleep >= self.SUSPEND else 0.0, step if abs(step) >= self.STEP else 0.0)
