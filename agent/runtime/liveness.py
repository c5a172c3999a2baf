"""Which workers make progress: the service manager's watchdog is fed only while every one of them does.

A worker is at work, or waits on purpose: for an event, a timer, a line of a socket. Work is bounded (requests have
deadlines), so whoever is at work for `LIMIT` without having waited once is stuck: a lost wake-up, a deadlock, a thread
that never answers. What is awaited inside `waiting()` may take as long as it likes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from agent.clock import Clock

LIMIT = 120.0
"""Seconds of work without a wait: a token command (30 s), three API requests with their deadlines, and some air."""


class Liveness:
    """Every section of work that is going on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sections: set[_Section] = set()

    @contextlib.contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Watch what stands in here, tasks that it starts included; sections inside are watched by themselves."""
        section = _Section(self, name, self.now())
        self._sections.add(section)
        token = _current.set(section)
        try:
            yield
        finally:
            _current.reset(token)
            self._sections.discard(section)

    def stuck(self) -> list[str]:
        """Return the names of the sections that make no progress, in order."""
        late = self.now() - LIMIT
        return sorted({section.name for section in self._sections if not section.waits and section.since < late})

    def now(self) -> float:
        """Return monotonic seconds: a suspend is no work."""
        return self._clock.monotonic()


class _Section:
    def __init__(self, liveness: Liveness, name: str, now: float) -> None:
        self.liveness = liveness
        self.name = name
        self.since = now
        """When it last began to work."""
        self.waits = 0
        """Waits that are going on: a section may be several tasks."""


_current: ContextVar[_Section | None] = ContextVar("section", default=None)


@contextlib.contextmanager
def waiting() -> Iterator[None]:
    """Wait on purpose; outside of a section it means nothing."""
    section = _current.get()
    if section is None:
        yield
        return
    section.waits += 1
    try:
        yield
    finally:
        section.waits -= 1
        section.since = section.liveness.now()


@contextlib.contextmanager
def part(name: str) -> Iterator[None]:
    """Watch a task inside of a section by itself; outside of a section it means nothing."""
    section = _current.get()
    with contextlib.nullcontext() if section is None else section.liveness.section(f"{section.name} {name}"):
        yield
