"""What the light was over a stretch of time, and what that means: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.model import StatusKind

MarkKind = Literal["moved", "confirmed", "call", "test", "gap", "disagreement"]
UNKNOWN = "off"
"""Kind of a stretch of which nothing is known: the agent did not run, or there is no record yet."""


@dataclass(frozen=True, slots=True)
class State:
    """The light from a time on."""

    at: float
    """Unix seconds."""
    kind: str
    """A StatusKind, or `off`."""
    cause: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened."""

    at: float
    """Unix seconds."""
    kind: MarkKind
    text: str


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch in which the light was the same."""

    start: float
    end: float
    """Unix seconds; the end is not part of it."""
    kind: str
    """A StatusKind, or `off`."""
    cause: str
    sentence: str

    @property
    def seconds(self) -> float:
        """Return how long it lasted."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Exposure:
    """How long it was not proven that 911 would send help to a confirmed address."""

    proven: float
    """Seconds in which it was proven and confirmed."""
    exposed: float
    """Seconds in which it was not, those without a record left out."""
    unknown: float
    """Seconds of which nothing is known."""
    windows: int
    """Separate stretches of exposure."""
    longest: float
    """Seconds of the longest one."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stretch of the past, oldest first."""

    since: float
    until: float
    spans: tuple[Span, ...]
    marks: tuple[Mark, ...]
    exposure: Exposure


def timeline(states: Sequence[State], marks: Sequence[Mark], since: float, until: float) -> Timeline:
    """Return what the states (in the order of their recording) say about the time from `since` to `until`.

    A wall clock that was set back makes a state begin before the one it follows: it begins where that one began.
    """
    spans: list[Span] = []
    edge = since
    for index, state in enumerate(states):
        following = states[index + 1].at if index + 1 < len(states) else until
        start, end = max(edge, state.at), min(following, until)
        if end <= start:
            continue
        if start > edge:
            spans.append(Span(edge, start, UNKNOWN, "no_record", ""))
        _append(spans, Span(start, end, state.kind, state.cause, state.sentence))
        edge = end
    if edge < until:
        spans.append(Span(edge, until, UNKNOWN, "no_record", ""))
    shown = tuple(mark for mark in marks if since <= mark.at <= until)
    return Timeline(since, until, tuple(spans), shown, exposure(spans))


def _append(spans: list[Span], new: Span) -> None:
    """Add a span; one that only says more about the same is part of the one before."""
    last = spans[-1] if spans else None
    if last is not None and (last.kind, last.cause, last.sentence) == (new.kind, new.cause, new.sentence):
        spans[-1] = Span(last.start, new.end, last.kind, last.cause, last.sentence)
    else:
        spans.append(new)


def exposure(spans: Sequence[Span]) -> Exposure:
    """Return the figures of spans that follow each other."""
    proven = sum(span.seconds for span in spans if span.kind == StatusKind.BOUND)
    unknown = sum(span.seconds for span in spans if span.kind == UNKNOWN)
    windows: list[float] = []
    open_window = False
    for span in spans:
        if span.kind in (StatusKind.BOUND, UNKNOWN):
            open_window = False
        elif open_window:
            windows[-1] += span.seconds
        else:
            windows.append(span.seconds)
            open_window = True
    return Exposure(proven, sum(windows), unknown, len(windows), max(windows, default=0.0))
