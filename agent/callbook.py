"""The calls of this phone as its programs and people see them: up now, over lately, and why one was refused."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from agent.clock import Clock
from agent.model import CallSound, CallView
from agent.refusals import Refusal, Standing, explain
from agent.say import sentences

KEEP_ENDED: Final = 20
"""Calls that are over and still told."""
BACKLOG: Final = 100
"""Changes that a reader may leave unread; then it is told everything anew instead."""
NOTICE: Final = 1800.0
"""Seconds that a refused call is mentioned on the page, unless its reason is gone before."""


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call: the fields of PROTOCOL.md, and what is known here."""

    call: int
    to: str
    direction: str
    state: str
    code: int
    reason: str
    emergency: bool
    test: bool
    callback: bool
    held: bool
    held_by_peer: bool
    started_at: float
    """Unix seconds, as are the next two."""
    answered_at: float | None
    ended_at: float | None
    sound: CallSound | None
    record: str | None
    sound_problem: str | None
    ended: str
    refusal: Refusal | None
    """Why it was refused, where the emergency address is the likely reason."""


@dataclass(frozen=True, slots=True)
class CallList:
    """All calls; `connected` false: the telephone program does not answer and nothing is known about calls."""

    connected: bool
    calls: tuple[CallReport, ...]
    """Up now, oldest first."""
    ended: tuple[CallReport, ...]
    """Over, newest first."""


Change = CallList | CallReport


class CallBook:
    """Hears every call line of the voice process (`on_call`) and whether it is there (`on_voice`)."""

    def __init__(self, standing: Callable[[], Standing], clock: Clock) -> None:
        self._standing, self._clock = standing, clock
        self._connected = False
        self._up: dict[int, CallReport] = {}
        self._dialed: dict[int, Standing] = {}
        self._ended: deque[CallReport] = deque(maxlen=KEEP_ENDED)
        self._readers: set[asyncio.Queue[Change]] = set()

    def now(self) -> CallList:
        """Return all calls."""
        return CallList(self._connected, tuple(self._up.values()), tuple(self._ended))

    def on_voice(self, *, connected: bool) -> None:
        """The voice process is there or is not; then its calls are unknown, not over (S12)."""
        if connected == self._connected:
            return
        self._connected = connected
        self._up.clear()
        self._dialed.clear()
        self._tell(self.now())

    def on_call(self, view: CallView) -> None:
        """Take a call line."""
        before = self._up.get(view.number)
        standing = self._standing()
        dialed = self._dialed.setdefault(view.number, standing)
        report = self._report(view)
        if view.state == "ended":
            self._up.pop(view.number, None)
            self._dialed.pop(view.number, None)
            moment = self._clock.monotonic()
            report = replace(
                report, ended_at=self._clock.wall(), refusal=explain(view, dialed, standing, moment),
                sound=report.sound or (before.sound if before else None),
            )  # fmt: skip
            self._ended.appendleft(report)
        else:
            self._up[view.number] = report
        self._tell(report)

    def _report(self, view: CallView) -> CallReport:
        drift = self._clock.wall() - self._clock.monotonic()
        return CallReport(
            call=view.number, to=view.to, direction=view.direction, state=view.state, code=view.code,
            reason=view.reason, emergency=view.emergency, test=view.test, callback=view.callback, held=view.held,
            held_by_peer=view.held_by_peer, started_at=view.started_wall or view.started_at + drift,
            answered_at=None if view.answered_at is None else view.answered_at + drift, ended_at=None,
            sound=view.sound, record=view.record, sound_problem=view.sound_problem, ended=view.ended, refusal=None,
        )  # fmt: skip

    def notices(self) -> tuple[str, ...]:
        """Return what the page should mention: the last refused call, while its reason still holds."""
        last = next((one for one in self._ended if one.direction == "out" and not one.emergency), None)
        if last is None or last.refusal is None or self._standing().proven:
            return ()
        if self._clock.wall() - (last.ended_at or 0.0) > NOTICE:
            return ()
        return (sentences(last.refusal.happened, last.refusal.todo, last.refusal.emergency),)

    # ------------------------------------------------------------------ readers

    def _tell(self, change: Change) -> None:
        for queue in self._readers:
            if queue.qsize() >= BACKLOG:
                while not queue.empty():
                    queue.get_nowait()
                change = self.now()
            queue.put_nowait(change)

    async def changes(self) -> AsyncIterator[Change]:
        """Yield the list, then every change; a reader that falls behind gets the list again."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        queue.put_nowait(self.now())
        self._readers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._readers.discard(queue)
