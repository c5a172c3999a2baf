"""Pure decisions: what a call makes of its notice, what a channel sends next, when nobody acknowledged for too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from agent.backoff import Schedule
from agent.clock import SANE_WALL
from agent.notify.notice import Call, Conveyed, Event, Notice, Now, Progress, Where

RETRIES = Schedule((1, 2, 4, 8, 15, 30, 60, 120, 300, 600))
"""Seconds before a delivery is tried again: a short outage costs seconds, a long one 6 attempts an hour."""
MAX_ATTEMPTS = 100
"""Failures in a row after which a channel gives a notice up and says so: about 15 hours (S11)."""
STALE_AFTER = 24 * 3600.0
"""Seconds after which a channel that never tried a notice leaves it alone: whoever sets e-mail up is not told of last
month's emergencies; longer than a channel tries, so that none is lost to a long outage."""
MAX_CALLBACKS = 10
"""Incoming calls that are told of one emergency call: a caller who tries for ever is one fact."""
TESTS = frozenset({"933"})


# ------------------------------------------------------------------ what calls make of notices


def heard(notice: Notice | None, call: Call, now: Now, make: Callable[[], Notice]) -> Notice | None:
    """Return the notice after a line about its own outgoing call; None: nothing to tell.

    `make` gives the first version; it is asked only for an emergency call that is seen for the first time.
    """
    if notice is None:
        return make() if call.emergency and not call.incoming and call.state != "ended" else None
    if notice.ended_at is not None:
        return notice
    if call.state == "confirmed" and notice.answered_at is None:
        notice = with_event(replace(notice, answered_at=now.wall - (call.answered_ago or 0.0)), Event.ANSWERED)
    if call.state == "ended":
        notice = ended(notice, now, call.reason)
    return notice


def ended(notice: Notice, now: Now, outcome: str) -> Notice:
    """Return a notice whose call is over; `seconds` only where the clocks can say it."""
    if notice.ended_at is not None:
        return notice
    talked = max(0.0, now.wall - notice.answered_at) if notice.answered_at is not None else 0.0
    return with_event(replace(notice, ended_at=now.wall, seconds=round(talked, 1), outcome=outcome), Event.ENDED)


def called_back(notice: Notice, call: Call, now: Now) -> Notice:
    """Return the notice of the last emergency call after another call came in."""
    if call.name in notice.callbacks or len(notice.callbacks) >= MAX_CALLBACKS:
        return notice
    told = replace(notice, callback_at=now.wall, callbacks=(*notice.callbacks, call.name))
    return with_event(told, Event.CALLBACK)


def located(notice: Notice, where: Where) -> Notice:
    """Return a notice whose location could not be said at first, once it can be; what was conveyed stays else."""
    if notice.where.conveyed is not Conveyed.UNKNOWN or where.conveyed is Conveyed.UNKNOWN:
        return notice
    return with_event(replace(notice, where=where), Event.LOCATION)


def acknowledged(notice: Notice, who: str, now: Now) -> Notice:
    """Return a notice that a person took; the first one counts."""
    if notice.acknowledged_at is not None:
        return notice
    return with_event(replace(notice, acknowledged_at=now.wall, acknowledged_by=who), Event.ACKNOWLEDGED)


def escalated(notice: Notice, now: Now) -> Notice:
    """Return a notice that nobody took in time."""
    return with_event(replace(notice, escalated_at=now.wall), Event.ESCALATED)


def escalates_in(notice: Notice, after: float, now: Now) -> float | None:
    """Return the seconds until nobody acknowledged for too long; None: never, it is taken or told already."""
    if not notice.is_open or notice.escalated_at is not None or after <= 0:
        return None
    if notice.boot != now.boot:
        return 0.0  # nobody took it before the restart, and how long that took cannot be said
    return max(0.0, notice.boot_at + after - now.boottime)


def with_event(notice: Notice, event: Event) -> Notice:
    """Return the next version."""
    return replace(notice, events=(*notice.events, event))


# ------------------------------------------------------------------ what a channel sends next


@dataclass(frozen=True, slots=True)
class Kind:
    """What a channel is for."""

    escalation: bool = False
    """Used only for notices that nobody acknowledged in time."""
    tests: bool = True
    """Hears of test calls too."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What to send now, or how long to wait before looking again; None twice: until something changes."""

    notice: Notice | None = None
    wait: float | None = None


def pending(notice: Notice, progress: Progress, kind: Kind) -> bool:
    """Tell whether a channel still has something to say about a notice."""
    if kind.escalation and notice.escalated_at is None:
        return False
    if notice.test and not kind.tests:
        return False
    return progress.sent < notice.version and progress.attempts < MAX_ATTEMPTS


def is_stale(notice: Notice, progress: Progress, now: Now) -> bool:
    """Tell whether a notice is none of a channel's business: it was over long before the channel was there.

    A dialed_at from before the clock was set says nothing (failure 11): then it is told.
    """
    if progress.sent or progress.attempts:
        return False
    if notice.boot == now.boot:
        return now.boottime - notice.boot_at > STALE_AFTER
    return notice.dialed_at >= SANE_WALL and now.wall - notice.dialed_at > STALE_AFTER


def choose(
    notices: Iterable[Notice],
    progress: Mapping[str, Progress],
    not_before: Mapping[str, float],
    kind: Kind,
    now: float,
) -> Choice:
    """Return what one channel sends next: real calls before tests, what nobody heard yet before changes, oldest first.

    `progress` and `not_before` (seconds of the clock of `now`) are by uid; a notice is sent in its newest version,
    so that what happened while a channel was dead costs one message.
    """
    waiting = [item for item in notices if pending(item, progress.get(item.uid, Progress()), kind)]
    ready = [item for item in waiting if not_before.get(item.uid, now) <= now]
    if ready:
        return Choice(min(ready, key=lambda item: _rank(item, progress.get(item.uid, Progress()))))
    return Choice(wait=min((not_before[item.uid] - now for item in waiting), default=None))


def _rank(notice: Notice, progress: Progress) -> tuple[bool, bool, float, str]:
    return (notice.test, progress.sent > 0, notice.dialed_at, notice.uid)


def news(notice: Notice, progress: Progress) -> tuple[Event, ...]:
    """Return what the channel has not told yet, oldest first."""
    return notice.events[progress.sent :]


def delivered(progress: Progress, version: int, now: Now) -> Progress:
    """Return the progress after a success."""
    return Progress(sent=max(version, progress.sent), at=now.wall)


def failed(progress: Progress, error: str) -> Progress:
    """Return the progress after a failure."""
    return replace(progress, attempts=progress.attempts + 1, error=error)


def pause(progress: Progress, luck: float, retry_after: float | None = None) -> float:
    """Return the seconds before the next attempt; `luck` in [0, 1) spreads devices that fail together (S11)."""
    step = RETRIES.steps[min(max(progress.attempts, 1), len(RETRIES.steps)) - 1]
    delay = step * (1 - RETRIES.jitter * luck)
    if retry_after is None:
        return delay
    return max(delay, min(retry_after, RETRIES.steps[-1]) * (1 + 0.1 * luck))


def gave_up(notice: Notice, progress: Progress) -> bool:
    """Tell whether a channel never told what it should have told."""
    return progress.attempts >= MAX_ATTEMPTS and progress.sent < notice.version
