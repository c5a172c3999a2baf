"""What happened on the simulated platform, in order, for tests and the demo to count."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agent.clock import Clock

KEPT = 100_000
"""Entries: a week of a busy demo; older ones fall off."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event."""

    number: int
    """Grows by one with each entry, from 0."""
    at: float
    """Monotonic seconds."""
    kind: str
    """`request`, `register`, `present`, `session`, `send`, `call`, `fault`, ..."""
    fields: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return it as one flat JSON object."""
        return {"number": self.number, "at": self.at, "kind": self.kind, **self.fields}


class Log:
    """Append-only; the newest `KEPT` entries stay."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._next = 0
        self.listeners: list[Callable[[Entry], None]] = []
        """Called at each new entry; must not raise."""

    def add(self, kind: str, **fields: Any) -> Entry:
        """Append an entry and tell the listeners."""
        entry = Entry(self._next, self._clock.monotonic(), kind, fields)
        self._next += 1
        self._entries.append(entry)
        for listener in tuple(self.listeners):
            listener(entry)
        return entry

    @property
    def next_number(self) -> int:
        """The number that the next entry will get."""
        return self._next

    def entries(self, kind: str | None = None, *, since: int = 0, **match: Any) -> list[Entry]:
        """Return the kept entries of a kind whose fields equal `match`, oldest first."""
        return list(self._select(kind, since, match))

    def count(self, kind: str | None = None, *, since: int = 0, **match: Any) -> int:
        """Count what `entries` would return."""
        return sum(1 for _ in self._select(kind, since, match))

    def _select(self, kind: str | None, since: int, match: dict[str, Any]) -> Iterator[Entry]:
        for entry in self._entries:
            if entry.number < since or (kind is not None and entry.kind != kind):
                continue
            if all(entry.fields.get(name) == value for name, value in match.items()):
                yield entry
