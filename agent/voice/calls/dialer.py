"""How a call is dialed: at once, again, and by another way when this one is silent."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from agent.say import said, say
from agent.voice.calls.leg import REDIALS, Leg
from agent.voice.calls.values import Call, Line
from agent.voice.events import CallEvent, Dial, StackError

PATIENCE: Final = 4.0
"""Seconds in which an emergency call must have had any answer; then it is dialed again (timer B is 32 s)."""
PATIENCE_IF_OTHERS: Final = 3.0
"""The same when there is another way to try."""
TRYING_PATIENCE: Final = 20.0
"""Seconds after a 100 Trying: this way works, and a gateway to the telephone network takes its time."""

CROWD: Final = 16
"""INVITEs within BREATH after which the next one waits: PJSIP frees the sockets of a call half a second late and has
room for 64, and a build with assertions ends the process for the 65th. Nobody dials that fast by hand."""
BREATH: Final = 0.6
"""Seconds."""
SILENT: Final = say("dialing again: no answer")
"""Of a call whose INVITE nobody answered."""

Dress = Callable[[Call, str], Dial]
"""Makes the INVITE of a call to a URI: headers and bodies; never raises."""
Prepare = Callable[[int], bool]
"""Makes the stack ready for attempt 0, 1, ... of an emergency call and returns whether there are other ways."""


def bare(call: Call, uri: str) -> Dial:  # noqa: ARG001
    """Return an INVITE with nothing around it."""
    return Dial(uri)


class Told(Protocol):
    """Whoever keeps the calls."""

    def change(self, leg: Leg, now: float, **fields: object) -> None:
        """Take this change of a call and tell everybody."""
        ...

    def over(self, leg: Leg, now: float) -> None:
        """Take the end of a call."""
        ...


class Dialer:
    """Dials the legs that it is given."""

    def __init__(self, line: Line, prepare: Prepare, dress: Dress, told: Told) -> None:
        self._line = line
        self._prepare = prepare
        self._dress = dress
        self._told = told
        self._dialed: deque[float] = deque(maxlen=CROWD)

    def dial(self, leg: Leg, now: float) -> None:
        """Send the INVITE; what cannot be sent is tried again or over, and a program gone mad waits for its turn."""
        if len(self._dialed) == CROWD and now < self._dialed[0] + BREATH:
            leg.redial_at = self._dialed[0] + BREATH
            return
        self._dialed.append(now)
        leg.heard_of = leg.early = False
        try:
            if leg.call.emergency:
                leg.deadline = now + PATIENCE
                if self._prepare(leg.redials):
                    leg.deadline = now + PATIENCE_IF_OTHERS
            dial = self._dress(leg.call, leg.uri)
            leg.call = replace(leg.call, attempt=leg.call.attempt + 1, presented_id=dial.presented_id)
            leg.stack_id = self._send(leg, dial)
        except StackError as error:
            leg.stack_id = None
            if not self.again(leg, CallEvent(-1, "ended", "out", 503, said(error)), now):
                self._told.change(leg, now, code=503, reason=said(error))
                self._told.over(leg, now)

    def again(self, leg: Leg, event: CallEvent, now: float) -> bool:
        """Arrange for another attempt after this end of one; return False if there is to be none."""
        wait = leg.redial_wait(event.code)
        if wait is None:
            return False
        leg.redials, leg.redial_at, leg.carried, leg.deadline = leg.redials + 1, now + wait, False, None
        self._told.change(
            leg, now, state="calling", code=event.code, reason=say("dialing again: {reason}", reason=event.reason)
        )
        return True

    def silent(self, leg: Leg, now: float) -> None:
        """Nobody said anything to the INVITE that is out: take it back and dial again, by the next way."""
        if leg.stack_id is None or leg.redials >= len(REDIALS):
            return
        with contextlib.suppress(StackError):
            self._line.hangup(leg.stack_id)
        leg.stack_id = None
        leg.redials += 1
        self._told.change(leg, now, state="calling", code=0, reason=SILENT)
        self.dial(leg, now)

    def _send(self, leg: Leg, dial: Dial) -> int:
        """Send; an emergency call that cannot go with what stands around it goes without."""
        try:
            return self._line.call(dial)
        except StackError:
            if not leg.call.emergency or not (dial.headers or dial.body):
                raise
            leg.call = replace(leg.call, presented_id=None)
            return self._line.call(Dial(leg.uri))
