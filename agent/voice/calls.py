"""Calls: emergency first, always, at once (S1); the interlock that keeps everything else away from it (S4)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from agent.voice import sip
from agent.voice.call_values import Call, Interlock, Line
from agent.voice.events import CallEvent, MediaReady, StackError

REDIAL_CODES: Final = frozenset({0, 408, 410, 500, 502, 503, 504})
"""Answers that say "this path", not "this call": an emergency call is dialed again."""
REDIALS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt of an emergency call that never got an answer."""
EMERGENCY_PATIENCE: Final = 4.0
"""Seconds in which an emergency call must have had any answer; then another way is tried (timer B is 32 s)."""
ORDINARY_REDIALS: Final = 1
"""A ringing ordinary call that a change of path killed is dialed again once."""
INCOMING_TIMEOUT: Final = 60.0
"""Seconds that an incoming call may ring before it is refused with 480."""
_UNAVAILABLE: Final = 480


@dataclass(slots=True)
class _Leg:
    """How a call stands with the stack."""

    call: Call
    uri: str
    stack_id: int | None = None
    redials: int = 0
    redial_at: float | None = None
    deadline: float | None = None
    wanted: bool = True
    answered: bool = False
    carried: bool = False


class Calls:
    """All calls; `prepare(attempt)` makes the stack ready on the best path there is, `tell` hears every change."""

    def __init__(
        self,
        line: Line,
        *,
        domain: Callable[[], str],
        prepare: Callable[[int], None],
        tell: Callable[[Call | Interlock], None],
        callback_window: float,
    ) -> None:
        self._line = line
        self._domain = domain
        self._prepare = prepare
        self._tell = tell
        self._window = callback_window
        self._legs: dict[int, _Leg] = {}
        self._next = 1
        self._until = 0.0
        self.interlock = Interlock()

    @property
    def up(self) -> tuple[Call, ...]:
        """Calls that are not over."""
        return tuple(leg.call for leg in self._legs.values())

    def stack_calls(self) -> int:
        """Return how many calls the stack holds: what a new life would kill."""
        return sum(leg.stack_id is not None and leg.wanted for leg in self._legs.values())

    def restore_window(self, until: float) -> None:
        """Take up a callback window that an earlier life of the process began."""
        self._until = until
        self._set_interlock(Interlock(active=True, until=until, why="callback window"))

    def place(self, to: str, now: float, req_id: str | int | None = None, record: str | None = None) -> Call:
        """Place a call; an emergency call at once, in every state, and every ordinary call yields to it.

        Raises ValueError with a sentence if this cannot be dialed, or if an emergency call is up.
        """
        emergency = sip.emergency_number(to)
        uri = sip.call_uri(to, self._domain())
        if emergency is None and any(leg.call.emergency for leg in self._legs.values()):
            raise ValueError("An emergency call is in progress; other calls have to wait.")
        if emergency is not None:
            self._set_interlock(Interlock(active=True, until=None, why=f"emergency call to {emergency}"))
            for leg in list(self._legs.values()):
                if not leg.call.emergency or (leg.call.to, emergency) == ("933", "911"):
                    self._end_leg(leg)
        call = Call(self._next, emergency or to, "out", emergency=emergency is not None, at=now, req_id=req_id)
        self._next += 1
        leg = _Leg(replace(call, record=record), uri)
        self._legs[call.number] = leg
        self._change(leg, now)
        self._dial(leg, now)
        return leg.call

    def hangup(self, number: int | None, now: float) -> None:
        """End one call or all; ValueError if there is no such call."""
        if number is not None and number not in self._legs:
            raise ValueError("There is no such call.")
        for leg in list(self._legs.values()):
            if number in (None, leg.call.number):
                self._end_leg(leg)
                if leg.stack_id is None:
                    self._over(leg, now)

    def answer(self, number: int) -> None:
        """Answer an incoming call; ValueError if there is none."""
        leg = self._legs.get(number)
        if leg is None or leg.stack_id is None or leg.call.direction != "in":
            raise ValueError("There is no such incoming call.")
        try:
            self._line.answer(leg.stack_id, 200)
        except StackError as error:
            raise ValueError(f"The call could not be answered: {error}") from None

    def on_event(self, event: CallEvent | MediaReady, now: float) -> None:
        """Take what the stack says about a call."""
        leg = next((leg for leg in self._legs.values() if leg.stack_id == event.call), None)
        if isinstance(event, MediaReady):
            self._connect(leg)
            return
        if leg is None:
            if event.direction == "out" or event.state == "ended":
                return
            leg = self._incoming(event, now)
        if event.state != "ended":
            leg.answered = leg.answered or event.state == "confirmed"
            if leg.answered or (event.direction == "out" and event.code):
                leg.deadline = None
            self._change(leg, now, state=event.state, code=event.code, reason=event.reason)
            return
        sound = leg.call.sound
        self._line.forget(event.call)
        leg.stack_id = None
        if leg.wanted and not leg.answered and leg.call.direction == "out" and self._redial(leg, event, now):
            return
        self._change(leg, now, code=event.code, reason=event.reason, sound=sound)
        self._over(leg, now)

    def carried(self) -> None:
        """The path changed under the calls: those still ringing will die of it and are worth a redial."""
        for leg in self._legs.values():
            leg.carried = not leg.answered

    def stack_restarted(self, now: float) -> None:
        """The stack began a new life: calls it held are gone (only ever calls that could not live on)."""
        for leg in list(self._legs.values()):
            if leg.stack_id is not None:
                leg.stack_id = None
                self._over(leg, now)

    def measure(self, now: float) -> None:
        """Tell the sound of confirmed calls."""
        for leg in self._legs.values():
            if leg.stack_id is not None and leg.call.state == "confirmed":
                sound = self._line.sound(leg.stack_id)
                if sound is not None and sound != leg.call.sound:
                    self._change(leg, now, sound=sound)

    def tick(self, now: float) -> None:
        """Redial, refuse what rang too long, end the callback window."""
        for leg in list(self._legs.values()):
            if leg.redial_at is not None and now >= leg.redial_at:
                leg.redial_at = None
                self._dial(leg, now)
            if leg.deadline is not None and now >= leg.deadline:
                leg.deadline = None
                self._overdue(leg, now)
        over = self._window_end()
        if over is not None and now >= over:
            self._set_interlock(Interlock())

    def next_due(self) -> float | None:
        """Return the earliest moment at which `tick()` has something to do."""
        moments = [moment for leg in self._legs.values() for moment in (leg.redial_at, leg.deadline)]
        return min((moment for moment in (*moments, self._window_end()) if moment is not None), default=None)

    # ------------------------------------------------------------------ inside

    def _window_end(self) -> float | None:
        """Return when the callback window ends; a callback that is up keeps it open (S4)."""
        calling = any(leg.call.emergency for leg in self._legs.values())
        return None if calling else self.interlock.until

    def _overdue(self, leg: _Leg, now: float) -> None:
        """An incoming call rang too long, or an emergency call got no sound out of anybody."""
        if leg.stack_id is None:
            return
        if leg.call.direction == "in":
            self._line.hangup(leg.stack_id, _UNAVAILABLE)
        elif leg.redials < len(REDIALS):
            silent, leg.stack_id = leg.stack_id, None
            leg.redials += 1
            self._dial(leg, now)
            if leg.stack_id != silent:
                with contextlib.suppress(StackError):  # it lives on only if the life does
                    self._line.hangup(silent)

    def _dial(self, leg: _Leg, now: float) -> None:
        try:
            if leg.call.emergency:
                leg.deadline = now + EMERGENCY_PATIENCE
                self._prepare(leg.redials)
            leg.stack_id = self._line.call(leg.uri)
        except StackError as error:
            leg.stack_id = None
            event = CallEvent(-1, "ended", "out", 503, str(error))
            if not self._redial(leg, event, now):
                self._change(leg, now, code=503, reason=str(error))
                self._over(leg, now)

    def _redial(self, leg: _Leg, event: CallEvent, now: float) -> bool:
        limit = len(REDIALS) if leg.call.emergency else ORDINARY_REDIALS * leg.carried
        if event.code not in REDIAL_CODES and not leg.carried:
            return False
        if leg.redials >= limit:
            return False
        wait = 0.0 if leg.carried else REDIALS[min(leg.redials, len(REDIALS) - 1)]
        leg.redials, leg.redial_at, leg.carried = leg.redials + 1, now + wait, False
        self._change(leg, now, state="calling", code=event.code, reason=f"dialing again: {event.reason}")
        return True

    def _incoming(self, event: CallEvent, now: float) -> _Leg:
        window = self.interlock.active
        call = Call(self._next, event.remote, "in", "ringing", emergency=window, at=now)
        self._next += 1
        leg = _Leg(call, event.remote, stack_id=event.call, deadline=now + INCOMING_TIMEOUT)
        self._legs[call.number] = leg
        return leg

    def _connect(self, leg: _Leg | None) -> None:
        if leg is not None and leg.stack_id is not None:
            try:
                self._line.connect(leg.stack_id, leg.call.record)
            except StackError as error:
                leg.call = replace(leg.call, reason=f"no sound: {error}")

    def _end_leg(self, leg: _Leg) -> None:
        leg.wanted, leg.redial_at = False, None
        if leg.stack_id is not None:
            leg.call = replace(leg.call, sound=self._line.sound(leg.stack_id) or leg.call.sound)
            try:
                self._line.hangup(leg.stack_id)
            except StackError as error:
                leg.call = replace(leg.call, reason=str(error))

    def _change(self, leg: _Leg, now: float, **fields: object) -> None:
        leg.call = replace(leg.call, at=now, **fields)  # type: ignore[arg-type]
        if leg.call.state != "ended":
            self._tell(leg.call)

    def _over(self, leg: _Leg, now: float) -> None:
        self._legs.pop(leg.call.number, None)
        leg.call = replace(leg.call, state="ended", at=now)
        self._tell(leg.call)
        if leg.call.emergency and not any(other.call.emergency for other in self._legs.values()):
            self._until = max(self._until, now + (self._window if leg.call.to != "933" else 0.0))
            on = self._until > now
            self._set_interlock(Interlock(active=True, until=self._until, why="callback window") if on else Interlock())

    def _set_interlock(self, interlock: Interlock) -> None:
        self.interlock = interlock
        self._tell(interlock)
