"""What the stack says of calls, and what follows: ringing, answered, gone, dialed again (S1, S4)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.say import say, sentences
from agent.voice.calls import outcome
from agent.voice.calls.book import Book
from agent.voice.calls.dialer import TRYING_PATIENCE, Dialer, Dress, Prepare, bare
from agent.voice.calls.holding import Holder
from agent.voice.calls.leg import Leg
from agent.voice.calls.values import Call, Interlock, Line
from agent.voice.events import CallEvent, MediaChanged, Reinvited, StackError, Trying

INCOMING_TIMEOUT: Final = 60.0
"""Seconds that an incoming call may ring before it is refused with 480."""
ORDINARY_LIMIT: Final = 3
"""PJSIP is built for 4 calls: one line is left for an emergency."""
_LOST: Final = say("The line had to be built anew, the call is lost.")
_TRYING: Final = 100
_BUSY: Final = 486


class Hearing(Book):
    """The calls as the stack tells of them; what people ask for is in `Calls`."""

    def __init__(
        self,
        line: Line,
        *,
        domain: Callable[[], str],
        prepare: Prepare,
        tell: Callable[[Call | Interlock], None],
        callback_window: float,
        dress: Dress = bare,
        numbers: Sequence[str] = (),
    ) -> None:
        super().__init__(line, tell, callback_window)
        self._domain = domain
        self._dialer = Dialer(line, prepare, dress, self)
        self._holder = Holder(line, self)
        self._numbers = numbers
        self._next = 1
        self.closed = ""
        """Why no ordinary call is taken any more, a sentence."""

    def on_event(self, event: CallEvent | MediaChanged | Trying | Reinvited, now: float) -> None:
        """Take what the stack says about a call."""
        leg = next((leg for leg in self._legs.values() if leg.stack_id == event.call), None)
        match event:
            case Trying():
                self._heard_of(leg, now)
            case Reinvited():
                if leg is not None and leg.answered:
                    self._holder.refused(leg, event, now)
            case MediaChanged():
                self._media(leg, event, now)
            case CallEvent() if leg is not None:
                self._state(leg, event, now)
            case CallEvent(state="ended"):
                self._line.forget(event.call)
            case CallEvent(direction="in"):
                self._ring(event, now)

    def heard_digit(self, stack_id: int, tell: Callable[[int], None]) -> None:
        """Tell the number of the call in which the far end pressed a key."""
        for leg in self._legs.values():
            if leg.stack_id == stack_id:
                tell(leg.call.number)

    def carried(self) -> None:
        """The path changed under the calls: those still ringing will die of it and are worth a redial."""
        for leg in self._legs.values():
            leg.carried = not leg.answered

    def moved(self, now: float) -> None:
        """The registration moved with the phone: each far end is told where it is reached by now."""
        for leg in self._legs.values():
            if leg.answered:
                self._holder.say_again(leg, now)

    def stack_restarted(self, now: float) -> None:
        """The stack began a new life: calls it held are gone, and an emergency call that is being made is dialed again.

        Only ever calls that could not live on; what stands here for the others is the last resort.
        """
        gone = CallEvent(-1, "ended", "out", 0, say("the line was built anew"))
        for leg in list(self._legs.values()):
            if leg.stack_id is not None:
                leg.stack_id = None
                if self._dial_again(leg, gone, now):
                    continue
                leg.here = leg.here or sentences(_LOST, outcome.DIAL_AGAIN)
                self.over(leg, now)

    # ------------------------------------------------------------------ inside

    def _heard_of(self, leg: Leg | None, now: float) -> None:
        if leg is not None and leg.open and leg.call.emergency and leg.deadline is not None:
            leg.heard_of, leg.deadline = True, now + TRYING_PATIENCE
            self.change(leg, now, code=_TRYING, reason="Trying")

    def _state(self, leg: Leg, event: CallEvent, now: float) -> None:
        if event.state == "ended":
            self._gone(leg, event, now)
            return
        if event.state == "confirmed" and not leg.answered:
            leg.answered = True
            leg.call = replace(leg.call, answered_at=now, again=None)
        leg.early = leg.early or event.state == "early"
        if leg.answered or (event.direction == "out" and event.code):
            leg.deadline = None
        if (leg.call.state, leg.call.code, leg.call.reason) != (event.state, event.code, event.reason):
            self.change(leg, now, state=event.state, code=event.code, reason=event.reason)

    def _gone(self, leg: Leg, event: CallEvent, now: float) -> None:
        self._line.forget(event.call)
        leg.stack_id = None
        if self._dial_again(leg, event, now):
            return
        leg.call = replace(leg.call, at=now, code=event.code, reason=event.reason)
        self.over(leg, now)

    def _dial_again(self, leg: Leg, event: CallEvent, now: float) -> bool:
        """Dial a call again that nobody wanted to end like this; return False if it is over."""
        if leg.cut_off(event.code):
            leg.answered = False
            leg.call = replace(leg.call, answered_at=None, held_by_peer=False, again=outcome.cut_off(leg.call.to))
        return leg.open and leg.call.direction == "out" and self._dialer.again(leg, event, now)

    def _ring(self, event: CallEvent, now: float) -> None:
        """A call comes in; with every line but the last one taken, or about to stop, an ordinary one hears busy."""
        back = self.interlock.active and not self.only_testing
        self._give_way()
        taken = sum(leg.wanted for leg in self._legs.values()) >= ORDINARY_LIMIT
        call = Call(self._next, event.remote, "in", "ringing", emergency=back, callback=back, at=now)
        self._next += 1
        leg = Leg(replace(call, started_at=now, started_wall=time.time()), event.remote, stack_id=event.call)
        self._legs[call.number] = leg
        if not back and (taken or self.closed):
            leg.wanted, leg.here = False, self.closed or say("Refused here: all lines are taken.")
            with contextlib.suppress(StackError):
                self._line.hangup(event.call, _BUSY)
            return
        leg.deadline = now + INCOMING_TIMEOUT
        self.change(leg, now, code=event.code, reason=event.reason)

    def _media(self, leg: Leg | None, event: MediaChanged, now: float) -> None:
        if leg is None or leg.stack_id is None:
            return
        problem = leg.call.sound_problem
        if event.active:
            try:
                problem = self._line.connect(leg.stack_id, leg.wish) or problem
            except StackError as error:
                problem = say("There is no sound: {error}.", error=error)
        changes = {"held": event.held, "held_by_peer": event.held_by_peer, "sound_problem": problem}
        if any(getattr(leg.call, name) != value for name, value in changes.items()):
            self.change(leg, now, **changes)
        self._holder.is_now(leg, now, held=event.held)

    def _give_way(self) -> None:
        """End the test calls that give way to every other call."""
        for leg in self._legs.values():
            if leg.wish.yields and leg.wanted:
                self._end_leg(leg, say("Ended for another call."))

    def _end_leg(self, leg: Leg, why: str) -> None:
        leg.wanted, leg.redial_at, leg.here = False, None, leg.here or why
        if leg.stack_id is not None:
            leg.call = replace(leg.call, sound=self._line.sound(leg.stack_id) or leg.call.sound)
            try:
                self._line.hangup(leg.stack_id)
            except StackError as error:
                leg.call = replace(leg.call, reason=str(error))
