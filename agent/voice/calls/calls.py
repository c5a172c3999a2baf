"""Calls: emergency first, always, at once (S1); the interlock that keeps everything else away from it (S4)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.say import say, sentences
from agent.voice.calls import outcome
from agent.voice.calls.dialing import call_uri, emergency_number
from agent.voice.calls.hearing import ORDINARY_LIMIT, Hearing
from agent.voice.calls.leg import LAST, Leg
from agent.voice.calls.values import Call, Interlock, Pending
from agent.voice.events import StackError, Wish

_ENDED_HERE: Final = say("Ended here.")
_ENDED_EARLY: Final = say("Ended here before anybody answered.")
HUNG: Final = say("dialing again: the phone line hung")
"""Of a call that a new life of the process dials."""
_OK: Final = 200
_UNAVAILABLE: Final = 480
_BUSY: Final = 486
_DECLINED: Final = 603


class Calls(Hearing):
    """All calls; `prepare(attempt)` makes the stack ready and says whether there are other ways, `tell` hears all."""

    def number_after(self, numbers: Sequence[int]) -> None:
        """Give no number of an earlier life again."""
        self._next = max([self._next, *(number + 1 for number in numbers)])

    def restore(self, pending: Pending, now: float, *, other_way: bool = False) -> None:
        """Dial an emergency call that an earlier life of the process did not bring to its end.

        It takes the way that it was on: a hang says nothing about that. `other_way` says that it hung there again.
        """
        self.number_after([pending.number])
        call = Call(pending.number, pending.to, "out", emergency=True, req_id=pending.req_id, attempt=pending.attempt)
        call = replace(call, at=now, started_at=pending.started_at, started_wall=pending.started_wall)
        call = replace(call, reason=HUNG, again=outcome.cut_off(call.to) if pending.answered else None)
        redials = min(pending.redials + other_way, LAST)
        self._begin(Leg(call, call_uri(pending.to, self._domain()), redials=redials), now)

    # ------------------------------------------------------------------ what people ask for

    def place(
        self,
        to: str,
        now: float,
        req_id: str | int | None = None,
        wish: Wish | None = None,
        problem: str | None = None,
    ) -> Call:
        """Place a call; an emergency call at once, in every state, and every ordinary call yields to it.

        An emergency call that is being made already is joined, not dialed twice. Raises ValueError with a
        sentence if this cannot be dialed now.
        """
        emergency = emergency_number(to, self._numbers)
        if emergency is not None:
            same = next((leg for leg in self._legs.values() if self._asks_for(leg, emergency)), None)
            if same is not None:
                self.change(same, now, req_id=req_id if req_id is not None else same.call.req_id)
                return same.call
        else:
            self._refuse_ordinary()
        uri = call_uri(emergency or to, self._domain())
        call = Call(
            self._next, emergency or to, "out", emergency=emergency is not None, at=now, req_id=req_id, started_at=now,
            started_wall=time.time(), sound_problem=problem, record=wish.record.name if wish and wish.record else None,
        )  # fmt: skip
        self._next += 1
        leg = Leg(call, uri, wish or Wish())
        self._begin(leg, now)
        return leg.call

    def hangup(self, number: int | None, now: float) -> None:
        """End one call or all; ValueError if there is no such call."""
        for leg in [self._leg(number)] if number is not None else list(self._legs.values()):
            self._end_leg(leg, _ENDED_HERE if leg.answered else _ENDED_EARLY)
            if leg.stack_id is None:
                self.over(leg, now)

    def answer(self, number: int, now: float, wish: Wish | None = None) -> None:
        """Answer an incoming call, the others go on hold; ValueError if there is none."""
        leg, stack_id = self._incoming_leg(number)
        if wish is not None:
            leg.wish = wish
            leg.call = replace(leg.call, record=wish.record.name if wish.record else None)
        self._hold_others(leg, now)
        self._ask(say("The call could not be answered."), lambda: self._line.answer(stack_id, _OK))

    def reject(self, number: int, *, busy: bool) -> None:
        """Refuse an incoming call: 603, or 486 for this phone alone; ValueError if there is none."""
        leg, stack_id = self._incoming_leg(number)
        leg.wanted, leg.here = False, say("Refused here.")
        self._ask(
            say("The call could not be refused."), lambda: self._line.hangup(stack_id, _BUSY if busy else _DECLINED)
        )

    def hold(self, number: int, now: float, *, on: bool) -> None:
        """Put a call on hold or take it back, the others then go on hold; ValueError when that cannot be.

        The newest wish counts: while the far end has not answered the one before, it waits for that.
        """
        leg = self._leg(number)
        if leg.call.emergency:
            raise ValueError(say("An emergency call is never put on hold."))
        if not leg.answered or leg.stack_id is None:
            raise ValueError(say("Only a call that was answered can be put on hold."))
        if not on:
            self._refuse_ordinary(leg)
            self._hold_others(leg, now)
        self._holder.want(leg, now, on=on)

    def digits(self, number: int, digits: str) -> None:
        """Send digits; ValueError when there is nobody to hear them."""
        leg = self._leg(number)
        if leg.stack_id is None or not (leg.answered or leg.early):
            raise ValueError(say("Nobody can hear the digits yet."))
        stack_id = leg.stack_id
        self._ask(say("The digits could not be sent."), lambda: self._line.digits(stack_id, digits))

    def kick(self, now: float) -> None:
        """A way appeared: an emergency call that waits for its next attempt goes out now."""
        for leg in list(self._legs.values()):
            if leg.redial_at is not None and leg.call.emergency:
                leg.redial_at = None
                self._dialer.dial(leg, now)

    def tick(self, now: float) -> None:
        """Redial, refuse what rang too long, end the callback window."""
        for leg in list(self._legs.values()):
            if leg.redial_at is not None and now >= leg.redial_at:
                leg.redial_at = None
                self._dialer.dial(leg, now)
            if leg.deadline is not None and now >= leg.deadline:
                leg.deadline = None
                self._overdue(leg, now)
            if leg.hold.due is not None and now >= leg.hold.due:
                self._holder.settle(leg, now)
        over = self.window_end()
        if over is not None and now >= over:
            self.set_interlock(Interlock())

    def next_due(self) -> float | None:
        """Return the earliest moment at which `tick()` has something to do."""
        moments = [moment for leg in self._legs.values() for moment in (leg.redial_at, leg.deadline, leg.hold.due)]
        return min((moment for moment in (*moments, self.window_end()) if moment is not None), default=None)

    # ------------------------------------------------------------------ inside: dialing

    def _refuse_ordinary(self, leg: Leg | None = None) -> None:
        """Raise ValueError with a sentence if no ordinary call may become active now."""
        if self.only_testing:
            self._give_way()
        elif self.emergency:
            raise ValueError(say("An emergency call is in progress; other calls have to wait."))
        if self.closed:
            raise ValueError(self.closed)
        if leg is None and sum(other.wanted for other in self._legs.values()) >= ORDINARY_LIMIT:
            raise ValueError(say("There are {count} calls already; end one of them first.", count=ORDINARY_LIMIT))

    def _begin(self, leg: Leg, now: float) -> None:
        if leg.call.emergency:
            self.set_interlock(Interlock(active=True, until=None, why=f"emergency call to {leg.call.to}"))
            for other in list(self._legs.values()):
                if not other.call.emergency or (other.call.to, leg.call.to) == ("933", "911"):
                    self._end_leg(other, say("Ended for an emergency call."))
        else:
            self._hold_others(leg, now)
        self._legs[leg.call.number] = leg
        self.change(leg, now)
        self._dialer.dial(leg, now)

    def _overdue(self, leg: Leg, now: float) -> None:
        """An incoming call rang too long, or an emergency call got no sound out of anybody."""
        if leg.call.direction == "out":
            self._dialer.silent(leg, now)
        elif leg.stack_id is not None:
            leg.here = say("Nobody answered here.")
            with contextlib.suppress(StackError):
                self._line.hangup(leg.stack_id, _UNAVAILABLE)

    # ------------------------------------------------------------------ inside

    def _asks_for(self, leg: Leg, number: str) -> bool:
        return leg.wanted and leg.call.emergency and leg.call.direction == "out" and leg.call.to == number

    def _leg(self, number: int) -> Leg:
        if number not in self._legs:
            raise ValueError(say("There is no such call."))
        return self._legs[number]

    def _incoming_leg(self, number: int) -> tuple[Leg, int]:
        leg = self._legs.get(number)
        if leg is None or leg.stack_id is None or leg.call.direction != "in" or not leg.open:
            raise ValueError(say("There is no such incoming call."))
        return leg, leg.stack_id

    def _hold_others(self, leg: Leg, now: float) -> None:
        """Hold the others; one that cannot be held yet is mixed in for so long."""
        for other in self._legs.values():
            if other is not leg and not other.call.emergency and other.answered and other.wanted:
                self._holder.want(other, now, on=True)

    def _ask(self, otherwise: str, action: Callable[[], None]) -> None:
        try:
            action()
        except StackError as error:
            raise ValueError(sentences(otherwise, f"({error})")) from None
