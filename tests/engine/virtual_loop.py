"""An event loop whose time is virtual: it jumps to the next timer instead of waiting; nothing is ever slept."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

SPIN = 5000
"""Turns of the loop without a timer: far more than any burst of real work takes."""


class _JumpingSelector(selectors.SelectSelector):
    """Turns "wait so long" into "it is that much later"."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
            self.turns = 0
        if not ready and timeout is None:
            raise AssertionError("deadlock: nothing is due and nothing can happen any more")
        self.turns += 1
        if self.turns > SPIN:
            raise AssertionError("something spins: the loop turns, but time stands still")
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Deterministic; `time()` is the monotonic clock of the virtual world."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, running everything that is due on the way."""
        self.run_until_complete(asyncio.sleep(seconds))

    def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, however much virtual time it takes."""
        return self.run_until_complete(work)


class VirtualClock:
    """The three clocks, all derived from the loop; suspends and steps are injected."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.asleep = 0.0
        self.offset = 1_800_000_000.0

    def monotonic(self) -> float:
        return self._loop.time()

    def boottime(self) -> float:
        return self._loop.time() + self.asleep

    def wall(self) -> float:
        return self._loop.time() + self.asleep + self.offset
