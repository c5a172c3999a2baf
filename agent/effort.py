"""Bounded effort (S11): what the agent may write on its own account."""

from __future__ import annotations

from collections import deque

from agent.clock import Clock
from agent.errors import Backoff
from agent.say import say


class Budget:
    """Bounds what the agent writes on its own account (S11): `limit` in any `window` seconds."""

    def __init__(self, clock: Clock, limit: int = 8, window: float = 600.0) -> None:
        self._clock = clock
        self._limit = limit
        self._window = window
        self._spent: deque[float] = deque()

    def spend(self) -> None:
        """Take one, or raise Backoff with the time until the next is free."""
        now = self._clock.boottime()
        while self._spent and now - self._spent[0] >= self._window:
            self._spent.popleft()
        if len(self._spent) >= self._limit:
            raise Backoff(
                say("The network changed so often that the address is moved no more for a while."),
                retry_after=self._window - (now - self._spent[0]),
                emergency=say("911 goes out, but without a proven location."),
                todo=say("Look at cable and router: the connection is unstable."),
                code="effort_limit",
            )
        self._spent.append(now)

    def reset(self) -> None:
        """A person acted: start anew."""
        self._spent.clear()
