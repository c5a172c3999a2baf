"""How long 911 could have been wrong: from the loss or move to the next proof of a confirmed address."""

from __future__ import annotations

import contextlib
import sqlite3

from agent.clock import Clock
from agent.model import StatusKind
from agent.runtime.log import trace
from agent.storage.store import Store

FRESH = 2.0
"""Seconds within which a kernel event is taken as what put the light out."""


class Exposure:
    """Measures windows with boottime, so that suspends count and clock steps do not."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._began: float | None = clock.boottime()
        self._cause = "start"
        self.since_wall: float | None = clock.wall()
        """Unix seconds since when 911 could be wrong; None: it is not."""
        self._closed = 0.0
        """Seconds of all windows that were closed since the start."""
        last = store.events("exposure", 1)
        self.last_seconds: float | None = last[0][1] if last else None
        """Seconds that the last closed window lasted."""

    def moved(self, kind: StatusKind, cause: str, event_at: float | None) -> None:
        """Take a change of the light; `event_at`: monotonic time of the kernel event behind it."""
        if kind is StatusKind.BOUND:
            self._close()
        elif self._began is None:
            late = 0.0 if event_at is None else self._clock.monotonic() - event_at
            late = late if 0.0 <= late <= FRESH else 0.0
            self._began = self._clock.boottime() - late
            self.since_wall = self._clock.wall() - late
            self._cause = cause

    def clock_set(self, step: float) -> None:
        """Move the wall time of the open window along with the clock; durations never step."""
        if self.since_wall is not None:
            self.since_wall += step

    def total_seconds(self) -> float:
        """Return how long 911 could have been wrong since the start, the open window included."""
        return self._closed + (self._clock.boottime() - self._began if self._began is not None else 0.0)

    def _close(self) -> None:
        if self._began is None:
            return
        seconds = self._clock.boottime() - self._began
        self._began = self.since_wall = None
        self.last_seconds = seconds
        self._closed += seconds
        trace("exposure", seconds=round(seconds, 3), cause=self._cause)
        with contextlib.suppress(sqlite3.Error):  # a full disk costs the record, not the light
            self._store.add_event(self._clock.wall(), "exposure", seconds, self._cause)
