"""The calls that are up, and the interlock that an emergency call and its callback window put on (S4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from agent.voice.calls import outcome
from agent.voice.calls.leg import Leg
from agent.voice.calls.values import Call, Interlock, Line, Pending


class Book:
    """Keeps the legs; `tell` hears every change of a call and of the interlock."""

    def __init__(self, line: Line, tell: Callable[[Call | Interlock], None], window: float) -> None:
        self._line = line
        self._tell = tell
        self._window = window
        self._legs: dict[int, Leg] = {}
        self._until = 0.0
        self.interlock = Interlock()

    @property
    def up(self) -> tuple[Call, ...]:
        """Calls that are not over."""
        return tuple(leg.call for leg in self._legs.values())

    @property
    def emergency(self) -> bool:
        """An emergency call or a callback is up."""
        return any(leg.call.emergency for leg in self._legs.values())

    @property
    def talking(self) -> Literal["", "call", "emergency"]:
        """Who is talked to; an emergency call that nobody answers yet is worth more than an ordinary one."""
        up = [call for call in self.up if call.answered_at is not None]
        if any(call.emergency for call in up):
            return "emergency"
        return "call" if up and not self.emergency else ""

    @property
    def only_testing(self) -> bool:
        """A test call that gives way is up, and nothing else is."""
        return bool(self._legs) and all(leg.wish.yields for leg in self._legs.values())

    def stack_calls(self) -> int:
        """Return how many calls the stack holds: what a new life would kill."""
        return sum(leg.stack_id is not None and leg.wanted for leg in self._legs.values())

    def pending(self) -> tuple[Pending, ...]:
        """Return the emergency calls that nobody here has ended; of tests only those that somebody waits for."""
        return tuple(
            Pending(
                leg.call.number, leg.call.to, leg.call.started_at, leg.call.started_wall, leg.call.req_id,
                leg.call.attempt, leg.redials, leg.answered or leg.call.again is not None,
            )
            for leg in self._legs.values()
            if leg.call.emergency and leg.call.direction == "out" and leg.wanted
            if not leg.wish.yields and not (leg.answered and leg.call.test)
        )  # fmt: skip

    def restore_window(self, until: float) -> None:
        """Take up a callback window that an earlier life of the process began."""
        self._until = until
        self.set_interlock(Interlock(active=True, until=until, why="callback window"))

    def measure(self, now: float) -> None:
        """Tell the sound of confirmed calls."""
        for leg in self._legs.values():
            if leg.stack_id is not None and leg.call.state == "confirmed":
                sound = self._line.sound(leg.stack_id)
                if sound is not None and sound != leg.call.sound:
                    self.change(leg, now, sound=sound)

    def change(self, leg: Leg, now: float, **fields: object) -> None:
        """Take this change of a call and tell everybody."""
        leg.call = replace(leg.call, at=now, **fields)  # type: ignore[arg-type]
        self._tell(leg.call)

    def over(self, leg: Leg, now: float) -> None:
        """Take the end of a call."""
        self._legs.pop(leg.call.number, None)
        sentence, refused = outcome.ended(leg.call, here=leg.here, early=leg.early)
        leg.call = replace(leg.call, state="ended", at=now, ended=sentence, refused=refused, again=None)
        self._tell(leg.call)
        if leg.call.emergency and not self.emergency:
            self._until = max(self._until, now + (self._window if leg.call.to != "933" else 0.0))
            on = self._until > now
            self.set_interlock(Interlock(active=True, until=self._until, why="callback window") if on else Interlock())

    def set_interlock(self, interlock: Interlock) -> None:
        """Take the interlock and tell everybody."""
        self.interlock = interlock
        self._tell(interlock)

    def window_end(self) -> float | None:
        """Return when the callback window ends; a callback that is up keeps it open (S4)."""
        return None if self.emergency else self.interlock.until
