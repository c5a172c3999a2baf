"""Makes test calls to 933: places, records, listens, files; by a person's order or, where enabled, by itself.

The code never dials 911 by itself; its test is 933, which the platform answers by reading the address back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from agent.clock import Clock
from agent.config.settings import CallTestSettings
from agent.errors import AgentError, NeedsHuman
from agent.model import CallView, VoiceState
from agent.runtime.liveness import waiting
from agent.runtime.log import trace
from agent.runtime.tasks import end
from agent.say import said, say
from agent.testcall.evidence import OF_SOUND, Answer, Evidence, Result, Running, Subject
from agent.testcall.notices import notices
from agent.testcall.recording import NO_FOLDER, Unreadable, whole, why_not
from agent.testcall.schedule import Moment, against, moved, same_binding
from agent.testcall.shelf import Shelf
from agent.testcall.speech import Hearing, listen

NUMBER: Final = "933"
LONGEST: Final = 60.0
"""Seconds after which a test call is hung up: an address takes 15 to be read."""
LOOK: Final = 15.0
"""Seconds between looks whether an automatic test is due."""
REMEMBERED: Final = 50
"""Test calls that are looked at for whether this binding was tested."""

Line = dict[str, Any]
Place = Callable[..., Coroutine[Any, Any, Line]]
_numbers = itertools.count(1)


class World(Protocol):
    """What a test call has to know of the rest of the agent."""

    def tested(self) -> Subject:
        """Return the binding as it is now."""

    def voice(self) -> VoiceState:
        """Return what is known of the telephone program."""

    def changed(self) -> None:
        """Something that people see has changed."""


@dataclass(slots=True)
class _Call:
    """What was seen of the call so far."""

    number: int | None = None
    dialed_at: float | None = None
    answered_at: float | None = None
    last: Line | None = None
    given_up: bool = False
    failed: str = ""


class CallTester:
    """One test call at a time."""

    def __init__(
        self, *, world: World, shelf: Shelf, place: Place, recordings: Path | None, settings: CallTestSettings,
        clock: Clock, zone: tzinfo | None = None,
    ) -> None:  # fmt: skip
        """`place(number, on_line, record=...)` calls as `place_call` of `agent/voice/socket/client.py` does."""
        self.running: Running | None = None
        self.past: tuple[Evidence, ...] = ()
        """The newest test calls, newest first."""
        self._world, self._shelf, self._place = world, shelf, place
        self._recordings, self._settings, self._clock, self._zone = recordings, settings, clock, zone
        self._call: _Call | None = None
        self._task: asyncio.Task[Line] | None = None
        self._work: asyncio.Task[Evidence] | None = None
        self._last_at: float | None = None
        self._proven: tuple[Subject, float] | None = None
        self._configured = asyncio.Event()
        self._read()

    def use(self, settings: CallTestSettings, recordings: Path | None) -> None:
        """Go by other settings from now on; a test call that is being made ends as it began."""
        self._settings, self._recordings, self._shelf.keep = settings, recordings, settings.keep
        self._configured.set()

    # ------------------------------------------------------------------ looking

    def _read(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a full or failing disk is said elsewhere
            self.past = self._shelf.newest(REMEMBERED)

    def find(self, number: int) -> Evidence | None:
        """Return one test call."""
        return self._shelf.find(number)

    def recording(self, evidence: Evidence) -> Path:
        """Return where its recording is."""
        return self._shelf.file(evidence)

    def notices(self) -> tuple[str, ...]:
        """Return what the test calls of the binding in use say that somebody should know."""
        return notices(self.past, self._world.tested())

    # ------------------------------------------------------------------ a person's side

    def start(self, who: str) -> asyncio.Task[Evidence]:
        """Begin a test call; raises NeedsHuman when one is on, or any other call is."""
        if self.running is not None:
            raise NeedsHuman(
                say("A test call is being made already."), todo=say("Wait until it is over."), code="test_running"
            )
        voice = self._world.voice()
        if voice.calls or voice.interlock:
            raise NeedsHuman(
                say("There is a call on this phone, or 911 may call back; a test call would disturb it."),
                todo=say("Test again when the call is over."),
                code="call_up",
            )
        self.running = Running(self._clock.wall(), who)
        self._work = asyncio.create_task(self._run(who), name="test call")
        return self._work

    async def stop(self) -> None:
        """Hang up the test call that is being made."""
        if self._work is not None:
            await end(self._work)

    def answer(self, number: int, *, same: bool, who: str) -> Evidence:
        """Record what a person who listened says; raises NeedsHuman when it is not on disk, or there is none such."""
        found = self._shelf.find(number)
        if found is None or not found.comparable:
            raise NeedsHuman(
                say("There is no recording of that test call to compare."),
                todo=say("Make a new test call."),
                code="no_such_test",
            )
        try:
            self._shelf.answer(number, Answer(same, self._clock.wall(), who))
        except sqlite3.Error as error:
            raise NeedsHuman(
                say("The answer could not be saved: {error}.", error=error),
                todo=say("Have the device's storage checked."),
                code="not_saved",
            ) from error
        trace("test_call_compared", test=number, same=same, who=who)
        self._read()
        self._world.changed()
        return self._shelf.find(number) or found

    # ------------------------------------------------------------------ the call

    async def _run(self, who: str) -> Evidence:
        tested, at = self._world.tested(), self._clock.wall()
        self._last_at = self._clock.monotonic()
        record = self._recordings / f"test-{NUMBER}-{int(at)}-{next(_numbers)}.wav" if self._recordings else None
        call = self._call = _Call()
        self._world.changed()
        try:
            await self._dial(call, record)
            self._show("listening")
            evidence = await self._judge(call, record, Evidence(0, at, who, Result.FAILED, tested))
            filed = self._file(evidence, record)
        finally:
            self.running = self._call = self._task = None
            self._world.changed()
        return filed

    async def _dial(self, call: _Call, record: Path | None) -> None:
        """Follow the call to its end, whatever ends it."""
        began = self._clock.monotonic()
        placed = self._place(NUMBER, self._heard, record=str(record) if record else None, yields=True)
        self._task = task = asyncio.create_task(placed, name="call to 933")
        try:
            async with asyncio.timeout(LONGEST):
                await asyncio.wait({task})
        except TimeoutError:
            call.failed = say("Hung up after {seconds} s.", seconds=f"{LONGEST:g}")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if not task.cancelled() and (error := task.exception()) is not None:
            if not isinstance(error, OSError | ValueError):
                raise error
            call.failed = said(error) or type(error).__name__
        call.dialed_at = call.dialed_at or began

    def _heard(self, line: Line) -> None:
        """Take a line of our own call."""
        call = self._call
        if call is None:
            return
        number, at = line.get("call"), line.get("at")
        call.number = number if isinstance(number, int) else call.number
        moment = float(at) if isinstance(at, int | float) else self._clock.monotonic()
        call.dialed_at = call.dialed_at or moment
        if line.get("state") == "confirmed":
            call.answered_at = call.answered_at or moment
        call.last = line
        self._show(str(line.get("state")))

    def _show(self, state: str) -> None:
        if self.running is not None and self.running.state != state:
            self.running = Running(self.running.since, self.running.who, state)
            self._world.changed()

    def on_call(self, view: CallView) -> None:
        """Give way: a call that comes in, or a real emergency, matters more than a test."""
        call, task = self._call, self._task
        if call is None or task is None or view.number == call.number or view.test or view.state == "ended":
            return
        if view.direction == "in" or view.emergency:
            call.given_up = True
            task.cancel()

    # ------------------------------------------------------------------ what became of it

    async def _judge(self, call: _Call, record: Path | None, evidence: Evidence) -> Evidence:
        hearing, unreadable = Hearing(), ""
        if call.answered_at is not None and not call.given_up:
            hearing, unreadable = await self._listen(call, record)
        last = call.last or {}
        answer = f"{last['code']} {last.get('reason') or ''}".strip() if last.get("code") else ""
        ended_at = last.get("at") if last.get("state") == "ended" else None
        over = float(ended_at) if isinstance(ended_at, int | float) else self._clock.monotonic()
        dialed = call.dialed_at or over
        return msgspec.structs.replace(
            evidence,
            result=_result(call, hearing, unreadable=bool(unreadable)),
            detail=_joined(answer, call.failed, unreadable),
            answer_seconds=None if call.answered_at is None else call.answered_at - dialed,
            call_seconds=max(0.0, over - dialed),
            speech_seconds=hearing.speech,
            level=hearing.level if hearing.seconds else None,
            moved=moved(evidence.tested, self._world.tested()),
        )

    async def _listen(self, call: _Call, record: Path | None) -> tuple[Hearing, str]:
        """Return what was heard, or why nothing can be said about it."""
        if record is None:
            return Hearing(), NO_FOLDER
        try:
            return await asyncio.to_thread(listen, await whole(record)), ""
        except Unreadable as error:
            problem = (call.last or {}).get("sound_problem")
            return Hearing(), problem if isinstance(problem, str) and problem else why_not(error)

    def _file(self, evidence: Evidence, record: Path | None) -> Evidence:
        heard = record if evidence.answer_seconds is not None and evidence.result is not Result.UNHEARD else None
        try:
            evidence = self._shelf.add(evidence, heard)
        except sqlite3.Error as error:
            trace("store", problem=f"the evidence of a test call was not saved: {error}")
            self.past = (evidence, *self.past)[:REMEMBERED]
        else:
            self._read()
        trace(
            "test_call", test=evidence.id, result=evidence.result, who=evidence.who, detail=evidence.detail,
            answer_seconds=evidence.answer_seconds, speech_seconds=evidence.speech_seconds,
            proven=evidence.tested.proven, moved=evidence.moved,
        )  # fmt: skip
        return evidence

    # ------------------------------------------------------------------ by itself

    def due(self) -> str | None:
        """Return why no automatic test call is made now; None: it is time for one."""
        now, tested, voice = self._clock.monotonic(), self._world.tested(), self._world.voice()
        if not tested.proven:
            self._proven = None
        elif self._proven is None or not same_binding(self._proven[0], tested):
            self._proven = (tested, now)
        moment = Moment(
            wall=self._clock.wall(),
            proven_for=None if self._proven is None else now - self._proven[1],
            tested=tested,
            calls=len(voice.calls) + (self.running is not None),
            interlock=voice.interlock,
            connected=voice.connected,
            past=self.past,
            since_last=None if self._last_at is None else now - self._last_at,
        )
        return against(moment, self._settings, self._zone)

    async def run(self) -> None:
        """Make automatic test calls until cancelled, where that is enabled."""
        while True:
            self._configured.clear()
            if self._settings.automatic and self.due() is None:
                with contextlib.suppress(AgentError):
                    await self.start("automatic")
            with waiting(), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK if self._settings.automatic else None):
                    await self._configured.wait()


def _joined(*parts: str) -> str:
    first, *rest = [part for part in parts if part] or [""]
    return say("{first}; {rest}", first=first, rest=_joined(*rest)) if rest else first


def _result(call: _Call, hearing: Hearing, *, unreadable: bool) -> Result:
    if call.given_up:
        return Result.GIVEN_UP
    if call.answered_at is None:
        return Result.FAILED if call.failed and call.last is None else Result.NOT_ANSWERED
    return Result.UNHEARD if unreadable else OF_SOUND[hearing.heard]
