"""The picture of the past: lanes, ticks and marks of a timeline in percent of its width; the template draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from agent.light.timeline import UNKNOWN, Span, Timeline
from agent.model import StatusKind
from agent.page import words
from agent.say import say

DAY = 86400.0
RANGES: dict[str, tuple[float, str]] = {
    "day": (DAY, say("Day")),
    "week": (7 * DAY, say("Week")),
    "month": (30 * DAY, say("Month")),
}
"""Name in the link -> (seconds, word)."""

FINEST = 0.1
"""Percent: bars of one lane that lie nearer together are drawn as one; about a pixel."""
MARKS_APART = 1.0
"""Percent: of marks of one kind that lie nearer together one is drawn; half the width of its icon."""
LANES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("good", say("Proven"), (StatusKind.BOUND,)),
    ("warn", say("Not confirmed"), (StatusKind.PROVISIONAL,)),
    ("busy", say("Connecting"), (StatusKind.CONNECTING,)),
    ("bad", say("No address, or a fault"), (StatusKind.UNBOUND, StatusKind.FAULT)),
    ("off", say("No network"), (StatusKind.OFFLINE,)),
    ("none", say("Not known"), (UNKNOWN,)),
)
"""(class, word, kinds of spans): each kind has a lane of its own, so that it is not told by color alone."""

MARKS: dict[str, tuple[str, str]] = {
    "moved": ("arrow", say("Moved")),
    "confirmed": ("check", say("Confirmed")),
    "call": ("phone", say("Emergency call")),
    "test": ("test", say("Test call")),
    "gap": ("question", say("Blind")),
    "disagreement": ("warning", say("Network disagreed")),
}
"""Kind of mark -> (icon, word)."""
KINDS = {UNKNOWN: say("Not known"), **{kind.value: words.LIGHTS[kind].word for kind in StatusKind}}
"""Kind of span -> word in the table."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One kind of state."""

    css: str
    word: str
    seconds: float
    bars: tuple[tuple[str, str], ...]
    """(start, width) in percent."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What the template draws."""

    lanes: tuple[Lane, ...]
    """Those that occur, and always the first."""
    ticks: tuple[tuple[str, str], ...]
    """(place in percent, label)."""
    marks: tuple[tuple[str, str, str], ...]
    """(place in percent, icon, word)."""


def picture(line: Timeline, zone: tzinfo | None) -> Picture:
    """Return the picture of a timeline."""
    lanes = []
    for css, word, kinds in LANES:
        spans = [span for span in line.spans if span.kind in kinds]
        if spans or css == "good":
            seconds = sum(span.seconds for span in spans)
            lanes.append(Lane(css, word, seconds, _bars(line, spans)))
    return Picture(tuple(lanes), _ticks(line, zone), _marks(line))


def _bars(line: Timeline, spans: Sequence[Span]) -> tuple[tuple[str, str], ...]:
    """Return the bars of one lane; a device that flaps for weeks must not make a page of megabytes."""
    near = (line.until - line.since) * FINEST / 100
    drawn: list[tuple[float, float]] = []
    for span in spans:
        if drawn and span.start - drawn[-1][1] < near:
            drawn[-1] = (drawn[-1][0], span.end)
        else:
            drawn.append((span.start, span.end))
    return tuple((_percent(line, start), _percent(line, line.since + end - start)) for start, end in drawn)


def _marks(line: Timeline) -> tuple[tuple[str, str, str], ...]:
    apart = (line.until - line.since) * MARKS_APART / 100
    last: dict[str, float] = {}
    drawn = []
    for mark in line.marks:
        if mark.at - last.get(mark.kind, -apart) >= apart:
            last[mark.kind] = mark.at
            drawn.append((_percent(line, mark.at), *MARKS[mark.kind]))
    return tuple(drawn)


def _percent(line: Timeline, at: float) -> str:
    return f"{(at - line.since) / (line.until - line.since) * 100:.3f}%"


def _ticks(line: Timeline, zone: tzinfo | None) -> tuple[tuple[str, str], ...]:
    """Return ticks every six hours of a day, every day of a week, every week of a month."""
    length = line.until - line.since
    step = timedelta(hours=6) if length <= DAY else timedelta(days=1 if length <= 7 * DAY else 7)
    now = datetime.fromtimestamp(line.until, zone)  # without a zone: the device's, as it was at each time
    at = now.replace(minute=0, second=0, microsecond=0, hour=now.hour // 6 * 6 if length <= DAY else 0)
    found = []
    while at.timestamp() > line.since:
        label = at.strftime("%H:%M") if length <= DAY else words.day(at, now)
        found.append((_percent(line, at.timestamp()), label))
        at -= step
    return tuple(reversed(found))
