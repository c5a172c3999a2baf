"""A stop that waits: for an emergency call and its callback window long, for an ordinary call shortly (S4)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.say import say
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import StackError
from agent.voice.log import log

if TYPE_CHECKING:
    from agent.voice.service import Service

SAY_EVERY: Final = 10.0
"""Seconds between words to the manager while a stop waits: well within the time that each of them buys."""
GOODBYE: Final = 1.0
"""Seconds for the answers to BYE, and again for the answer to the unregister: nobody waits for a dead network."""
CLOSED: Final = say("The phone line is about to stop; only emergency calls are placed now.")


class Stopped(Exception):
    """The process may end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a stop waits at most."""

    emergency: float
    ordinary: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the process has not stopped yet."""

    until: float
    """Monotonic seconds at which it stops all the same."""
    sentence: str


def wait(asked_at: float, now: float, calls: tuple[Call, ...], interlock: Interlock, limits: Limits) -> Wait | None:
    """Return what a stop that was asked for at `asked_at` waits for, None when it may be now."""
    emergency = "the callback window of an emergency call" if interlock.until is not None else f"an {interlock.why}"
    for on, seconds, what in (
        (interlock.active, limits.emergency, emergency),
        (bool(calls), limits.ordinary, "a call"),
    ):
        left = asked_at + seconds - now
        if on and left > 0:
            return Wait(
                asked_at + seconds,
                f"The phone line was told to stop and waits for {what}, for {left:.0f} s at most.",
            )
    return None


class Stopper:
    """Ends the process when it may; another request changes nothing."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._limits = Limits(service.settings.stop_wait, service.settings.stop_wait_ordinary)
        self._asked = asyncio.Event()
        self._stirred = asyncio.Event()
        self._answered = asyncio.Event()
        self.asked_at: float | None = None
        self.leaving = False
        """Nothing is started any more."""

    def ask(self, at: float | None = None) -> None:
        """Stop as soon as it may be."""
        if self.asked_at is None:
            self.asked_at = time.monotonic() if at is None else at
            log("stop_asked")
        self._asked.set()

    def stir(self) -> None:
        """A call or the interlock changed."""
        self._stirred.set()

    def unregistered(self) -> None:
        """The registrar answered the last REGISTER."""
        self._answered.set()

    async def run(self) -> None:
        """Wait for the request, then for the calls, say goodbye and raise Stopped."""
        await self._asked.wait()
        asked_at = self.asked_at or 0.0
        service, said = self._service, False
        service.calls.closed = CLOSED
        while waiting := wait(asked_at, time.monotonic(), service.calls.up, service.calls.interlock, self._limits):
            if not said:
                log("stop_waits", "warning", reason=waiting.sentence)
            said = True
            service.manager.stopping(waiting.sentence)
            service.desk.stopping(waiting.until, waiting.sentence)
            self._stirred.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(SAY_EVERY, waiting.until - time.monotonic())):
                    await self._stirred.wait()
        service.manager.stopping("Stopping.")
        service.desk.stopping(None, "The phone line stops now.")
        await self._goodbye()
        raise Stopped

    async def _goodbye(self) -> None:
        """Hang up what is left, then give the registration back, as far as somebody answers."""
        service = self._service
        service.calls.hangup(None, time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                while service.calls.up:
                    self._stirred.clear()
                    await self._stirred.wait()
        self.leaving = True
        if not service.machine.registered:
            return
        try:
            service.line.stack.unregister()
        except StackError:
            return
        service.pump.hurry()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._answered.wait()
