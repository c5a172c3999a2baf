"""May an automatic test call be made now? A pure function of what is known; the first reason against it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from agent.config.settings import CallTestSettings
from agent.testcall.evidence import Evidence, Result, Subject

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SETTLE: Final = 30.0
"""Seconds that a binding must have been proven: who moves a phone plugs it in more than once."""


@dataclass(frozen=True, slots=True)
class Moment:
    """All that the decision depends on."""

    wall: float
    """Unix seconds."""
    proven_for: float | None
    """Seconds since the binding was proven; None: it is not (S2)."""
    tested: Subject
    calls: int
    """Calls that are up, whatever they are."""
    interlock: bool
    connected: bool
    """The telephone program answers: only then is anything known about calls (S12)."""
    past: tuple[Evidence, ...]
    """Newest first."""
    since_last: float | None = None
    """Monotonic seconds since the last test call of this process; None: there was none."""


def against(moment: Moment, settings: CallTestSettings, zone: tzinfo | None = None) -> str | None:
    """Return the name of the first reason why no automatic test call is made now; None: it is made."""
    proven_for = moment.proven_for if moment.tested.civic is not None else None
    tested = any(counts(one) and same_binding(one.tested, moment.tested) for one in moment.past)
    reasons = {
        "off": not settings.automatic,
        "busy": not moment.connected or moment.calls > 0 or moment.interlock,
        "not_proven": proven_for is None,
        "tested": tested,
        "settling": proven_for is not None and proven_for < SETTLE,
        "too_soon": not _apart(moment, settings.min_interval),
        "not_now": not within(moment.wall, settings.hours, settings.days, zone),
    }
    return next((name for name, holds in reasons.items() if holds), None)


def counts(evidence: Evidence) -> bool:
    """Tell whether a test call said something about its binding."""
    return evidence.result is Result.SPEECH and evidence.tested.proven and not evidence.moved


def same_binding(one: Subject, other: Subject) -> bool:
    """Tell whether two test calls are about the same binding: a re-bind changes place, id or anchor."""
    return (one.address_id, one.place_id, one.anchor) == (other.address_id, other.place_id, other.anchor)


def moved(before: Subject, after: Subject) -> bool:
    """Tell whether a binding did not hold from one moment to the other."""
    lost = before.proven and not after.proven
    return lost or before.generation != after.generation or not same_binding(before, after)


def _apart(moment: Moment, interval: float) -> bool:
    """Tell whether the last test call is long enough ago, by the clock that did not step."""
    if moment.since_last is not None and moment.since_last < interval:
        return False
    last = max((one.at for one in moment.past), default=None)
    if last is None or last > moment.wall:  # the clock was set back: what it said then means nothing
        return True
    return moment.wall - last >= interval or moment.since_last is not None


def within(wall: float, hours: str, days: tuple[str, ...], zone: tzinfo | None = None) -> bool:
    """Tell whether a moment is in a span such as `08:00-18:00` or `22:00-06:00` of one of these days."""
    when = datetime.fromtimestamp(wall, zone).astimezone(zone)
    begin, _, end = hours.partition("-")
    now = when.strftime("%H:%M")
    today, yesterday = DAYS[when.weekday()], DAYS[(when - timedelta(days=1)).weekday()]
    if begin < end:
        return begin <= now < end and today in days
    return (now >= begin and today in days) or (now < end and yesterday in days)
