"""Three clocks that a test turns by hand, each for itself: durations, sleep and people's time never move together."""

from __future__ import annotations

from dataclasses import dataclass

from agent.clock import SANE_WALL

DAY = 86400.0


@dataclass
class Clocks:
    """Seconds, as `agent.clock.Clock` tells them."""

    mono: float = 500.0
    boot: float = 1000.0
    now: float = SANE_WALL + DAY

    def monotonic(self) -> float:
        return self.mono

    def boottime(self) -> float:
        return self.boot

    def wall(self) -> float:
        return self.now
