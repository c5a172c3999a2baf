"""Holding calls and taking them back: the newest wish comes true, one re-INVITE at a time (RFC 3264 8.4)."""

from __future__ import annotations

from typing import Final

from agent.say import say, sentences
from agent.voice.calls.dialer import Told
from agent.voice.calls.leg import Leg
from agent.voice.calls.values import Line
from agent.voice.events import Reinvited, StackError

AGAIN: Final = 0.5
"""Seconds between looks whether the far end has answered the re-INVITE that is out; mostly its answer comes first."""
LIMIT: Final = 40.0
"""Seconds after which a wish is given up: timer B, after which PJSIP ends the call itself, is 32."""
GLARE: Final = {"out": 2.1, "in": 1.0}
"""Seconds after a 491, when both sides asked at once: who made the call waits longer (RFC 3261 14.1)."""
_NOT_HELD: Final = say("The call could not be put on hold.")
_NOT_RESUMED: Final = say("The call could not be resumed.")
_PENDING: Final = 491


class Holder:
    """Makes the stack's state of holding what is wanted; what was wanted in between is never sent."""

    def __init__(self, line: Line, told: Told) -> None:
        self._line = line
        self._told = told

    def want(self, leg: Leg, now: float, *, on: bool) -> None:
        """Take the newest wish; it is sent now, or when the far end has answered the one before."""
        leg.hold.wanted, leg.hold.until = on, now + LIMIT
        self.settle(leg, now)

    def settle(self, leg: Leg, now: float) -> None:
        """Send what is wanted, unless that is what was sent last."""
        hold = leg.hold
        hold.due = None
        if leg.stack_id is None or not leg.wanted or hold.wanted is hold.asked:
            return
        try:
            self._line.hold(leg.stack_id, on=hold.wanted)
        except StackError as error:
            self._later(leg, now, str(error))
        else:
            hold.asked = hold.wanted
            if leg.call.held is not hold.wanted:
                self._told.change(leg, now, held=hold.wanted)

    def say_again(self, leg: Leg, now: float) -> None:
        """Send a re-INVITE that changes nothing but the Contact: the phone is reached elsewhere (RFC 3261 12.2.1)."""
        leg.hold.asked, leg.hold.until = None, now + LIMIT
        self.settle(leg, now)

    def is_now(self, leg: Leg, now: float, *, held: bool) -> None:
        """The sound of a call was settled anew: what is wanted by now follows."""
        leg.hold.real = held
        if leg.hold.asked is not None:
            leg.hold.asked = held
        self.settle(leg, now)

    def refused(self, leg: Leg, event: Reinvited, now: float) -> None:
        """The far end did not take the re-INVITE: what was, is; only one that crossed another is sent again."""
        hold = leg.hold
        if event.code == _PENDING:
            hold.asked, hold.due = None, now + GLARE[leg.call.direction]
        elif hold.asked is not hold.real:
            self._give_up(leg, now, f"{event.code} {event.reason}")

    def _later(self, leg: Leg, now: float, error: str) -> None:
        if now < leg.hold.until:
            leg.hold.due = now + AGAIN
        else:
            self._give_up(leg, now, error)

    def _give_up(self, leg: Leg, now: float, why: str) -> None:
        problem = sentences(_NOT_HELD if leg.hold.wanted else _NOT_RESUMED, f"({why})")
        leg.hold.wanted = leg.hold.asked = leg.hold.real
        self._told.change(leg, now, held=leg.hold.real, sound_problem=problem)
