"""Sessions of those who gave a PIN: in memory only, bound to one address, ended by silence, age or a new PIN."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

from agent.page.access.visitor import Channel
from agent.page.routes import Role

IDLE = {Role.STAFF: 30 * 60.0, Role.TECHNICIAN: 10 * 60.0}
"""Seconds without a request (the live update of an open page is none) until the PIN is asked for again."""
OLDEST = {Role.STAFF: 12 * 3600.0, Role.TECHNICIAN: 2 * 3600.0}
"""Seconds until it is asked for in any case: a working day, a visit."""
MAX_SESSIONS = 64
"""Beyond it the one that was silent the longest ends."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who signed in."""

    role: Role
    channel: Channel
    address: str
    started: float
    """Boottime seconds: they never step, and a night in suspend counts."""
    heard: float
    """Boottime seconds of the last request."""

    def over(self, now: float) -> bool:
        """Tell whether it has ended by itself."""
        return now - self.heard > IDLE[self.role] or now - self.started > OLDEST[self.role]


class Sessions:
    """All sessions, by the hash of their id: the ids themselves exist in the browsers alone."""

    def __init__(self) -> None:
        self._open: dict[bytes, Session] = {}

    def open(self, role: Role, channel: Channel, address: str, now: float) -> str:
        """Begin a session and return its id for the cookie."""
        self._open = {key: one for key, one in self._open.items() if not one.over(now)}
        while len(self._open) >= MAX_SESSIONS:
            del self._open[min(self._open, key=lambda key: self._open[key].heard)]
        session_id = secrets.token_urlsafe(32)
        self._open[_hash(session_id)] = Session(role, channel, address, now, now)
        return session_id

    def find(self, session_id: str, channel: Channel, address: str, now: float, *, touch: bool) -> Session | None:
        """Return the session of an id that comes from where it was opened; `touch` counts as a request."""
        key = _hash(session_id)
        session = self._open.get(key)
        if session is None or session.over(now):
            self._open.pop(key, None)
            return None
        if (session.channel, session.address) != (channel, address):
            return None
        if touch:
            self._open[key] = session = replace(session, heard=now)
        return session

    def close(self, session_id: str) -> None:
        """End one session."""
        self._open.pop(_hash(session_id), None)

    def close_all(self) -> None:
        """End every session: a PIN was changed."""
        self._open.clear()

    def all(self, now: float) -> tuple[Session, ...]:
        """Return the sessions that are open, the newest first."""
        return tuple(sorted((one for one in self._open.values() if not one.over(now)), key=lambda one: -one.started))


def _hash(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()
