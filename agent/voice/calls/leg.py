"""How a call stands with the stack, and how patiently it is dialed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from agent.voice.calls.values import Call
from agent.voice.events import Wish

REDIAL_CODES: Final = frozenset({0, 408, 410, 500, 502, 503, 504})
"""Answers that say "this path", not "this call": an emergency call is dialed again."""
CUT_OFF: Final = REDIAL_CODES | {481}
"""Ends of an answered call that nobody asked for: the line was built anew, or the far end could not be reached or does
not know the call any more (RFC 3261 12.2.1.2). Who hangs up is told by a BYE, which counts as 200."""
REDIALS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0)
"""Seconds before each further attempt of an emergency call that never got an answer: about a minute in all."""
LAST: Final = len(REDIALS) - 1
"""Redials of a call that may be dialed once more."""
ORDINARY_REDIALS: Final = 1
"""A ringing ordinary call that a change of path killed is dialed again once."""


@dataclass(slots=True)
class Hold:
    """How a call stands with being held here."""

    wanted: bool = False
    asked: bool | None = False
    """What the last re-INVITE said; None: it must be said again, as the Contact is another one."""
    real: bool = False
    """What both sides agreed on last."""
    due: float | None = None
    """When to try again."""
    until: float = 0.0


@dataclass(slots=True)
class Leg:
    """One call and its life inside the stack."""

    call: Call
    uri: str
    wish: Wish = field(default_factory=Wish)
    stack_id: int | None = None
    redials: int = 0
    redial_at: float | None = None
    deadline: float | None = None
    wanted: bool = True
    answered: bool = False
    early: bool = False
    """It heard something before anybody answered."""
    heard_of: bool = False
    """The next hop said 100 Trying or more to the INVITE that is out."""
    carried: bool = False
    """The path changed while it was ringing: it will die of that."""
    hold: Hold = field(default_factory=Hold)
    here: str = ""
    """Why this side ended it, a sentence."""

    def cut_off(self, code: int) -> bool:
        """Return whether this end took a real emergency call away from somebody who talked to a dispatcher."""
        real = self.call.emergency and not self.call.test and self.call.direction == "out"
        return real and self.wanted and self.answered and code in CUT_OFF

    @property
    def open(self) -> bool:
        """Nobody has ended it, and nobody has answered it."""
        return self.wanted and not self.answered

    def redial_wait(self, code: int) -> float | None:
        """Return the seconds to wait before this call is dialed again, None if it is not.

        One that was cut off is dialed again after any answer: the far end may count the lost call as one still.
        """
        limit = len(REDIALS) if self.call.emergency else ORDINARY_REDIALS * self.carried
        worth = code in REDIAL_CODES or self.carried or self.call.again is not None
        if not worth or self.redials >= limit:
            return None
        return 0.0 if self.carried else REDIALS[self.redials]
