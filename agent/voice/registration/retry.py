"""When to try again: refusals remembered and obeyed, flaps slowed down (S11, failures 12, 13, 16)."""

from __future__ import annotations

import random
from typing import Final

from agent.backoff import CREDENTIALS, REFUSED, TRANSIENT, Backoff, Schedule
from agent.voice.events import RegisterResult

ATTEMPT_DEADLINE: Final = 8.0
"""Seconds without a final answer: PJSIP would wait 32 (RFC 3261 timer F), a new life of the stack costs 20 ms."""
PENDING_WAIT: Final = 1.0
"""Seconds that a newer instruction on the same path waits for the attempt in flight."""
AGENT_FIRST: Final = 0.25
"""Seconds that a living agent has to answer a change of path before voice acts without it."""
LOOK_AGAIN: Final = 5.0
"""Seconds between looks at the path while there seems to be none: a hint may have been lost, or misread (S12)."""
UNREGISTER_WAIT: Final = 3.0
"""Seconds to wait for the answer to an unregister when no dialogue would suffer from a new life."""
REFRESH: Final = (0.85, 0.90)
"""Share of the granted time after which it is renewed; PJSIP's own timer (5 s before the end) never comes first."""
CREDENTIALS_KICK_GAP: Final = 10.0
"""Seconds between attempts with credentials that were refused, however often somebody kicks (failure 16)."""
ORPHAN_GAPS: Final = (0.0, 1.0, 5.0, 20.0, 60.0, 90.0)
"""Seconds between path changes followed without an agent: a link flapping for 10 min costs 10 REGISTERs (S11)."""
ORPHAN_CALM: Final = 300.0
"""Seconds of quiet after which a flap is forgotten."""
_CREDENTIAL_CODES: Final = frozenset({401, 403, 407})
_TRANSIENT_CODES: Final = frozenset({408, 423, 429, 480, 486, 491})
_CLIENT_ERRORS: Final = range(400, 500)


class Refusals:
    """Remembers why the registrar said no and for how long that outweighs a kick."""

    def __init__(self, rng: random.Random) -> None:
        self._backoff = Backoff(TRANSIENT, rng)
        self._last: tuple[Schedule, float, float | None] | None = None

    def forget(self) -> None:
        """A REGISTER succeeded."""
        self._backoff.reset()
        self._last = None

    def wait(self, result: RegisterResult, now: float) -> float:
        """Return the seconds to wait after this answer (RFC 3261 21.4, 21.5, Retry-After)."""
        schedule = TRANSIENT
        if result.code in _CREDENTIAL_CODES:
            schedule = CREDENTIALS
        elif result.code in _CLIENT_ERRORS and result.code not in _TRANSIENT_CODES:
            schedule = REFUSED
        self._last = (schedule, now, result.retry_after)
        return self._backoff.next(result.retry_after, schedule)

    def until(self, due: float | None, now: float, *, same_path: bool) -> float | None:
        """Return until when a new instruction has to wait, None if it may go at once.

        A kick beats a backoff of ours. It does not beat a Retry-After on the same path, nor does it try
        refused credentials more often than CREDENTIALS_KICK_GAP allows.
        """
        if self._last is None:
            return None
        schedule, at, retry_after = self._last
        if schedule is CREDENTIALS and now < at + CREDENTIALS_KICK_GAP:
            return at + CREDENTIALS_KICK_GAP
        return due if retry_after is not None and same_path else None


class Flaps:
    """Slows down how often a changing path is followed when no agent holds changes back."""

    def __init__(self) -> None:
        self._count = 0
        self._at = -ORPHAN_CALM

    def allowed_at(self, now: float) -> float:
        """Return the moment from which the next change may be followed; forget an old flap."""
        if now - self._at >= ORPHAN_CALM:
            self._count = 0
        return self._at + ORPHAN_GAPS[min(self._count, len(ORPHAN_GAPS) - 1)]

    def followed(self, now: float) -> None:
        """A change was followed."""
        self._count, self._at = self._count + 1, now
