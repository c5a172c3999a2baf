"""Why the platform did not put a call through: told from our own binding and from what became of the call; pure.

The platform lets 911 and 933 out always and other calls only from a network on which an emergency address is bound;
there it plays an announcement and hangs up. How it does so is its own business, so this is a judgment and says so: it
is never made while an address was proven (S2), nor for a call that somebody here hung up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from agent.model import CallView, CivicAddress
from agent.say import Said, say

FORBIDDEN: Final = 403
"""The answer with which a platform refuses a call of this phone; 404, 480, 486 and 603 are about the other side."""
ANNOUNCEMENT: Final = 45.0
"""Seconds that an announcement takes at most, repeated once."""
PEER_HUNG_UP: Final = "The other side hung up."
"""What `ended` says of an answered call that the far end ended."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call was refused, for people; the fields of `agent.errors.AgentError`."""

    code: str
    happened: str
    emergency: str
    todo: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the binding stood when a call was dialed."""

    proven: bool
    civic: CivicAddress | None
    """What was presented."""


def explain(view: CallView, dialed: Standing, ended: Standing, at: float) -> Refusal | None:
    """Return why a call that is over was refused; None where the address cannot be the reason. `at`: monotonic."""
    ours = view.direction == "out" and not view.emergency
    if not ours or view.state != "ended" or dialed.proven or ended.proven or not _looks_refused(view, at):
        return None
    presented = dialed.civic
    if presented is None:
        return Refusal("no_address", NO_ADDRESS, OUT_ANYWAY, say("Say where this phone is, then call again."))
    happened = say(
        "This call was refused, most likely because {address} is not bound to this network yet.",
        address=presented.one_line(),
    )
    return Refusal("address_not_bound", happened, OUT_ANYWAY, WAIT)


NO_ADDRESS: Final[Said] = say(
    "This call was refused, most likely because no emergency address is registered on this network."
)
OUT_ANYWAY: Final[Said] = say("911 and 933 still go out, but 911 may not learn where this phone is.")
WAIT: Final[Said] = say("Wait until the light says that the address is proven, then call again.")


def _looks_refused(view: CallView, at: float) -> bool:
    """Tell whether a call ended as one that meets the announcement does: before an answer, or soon after it."""
    if view.answered_at is None:
        return view.refused == "announcement" or view.code == FORBIDDEN
    return view.ended in {"", PEER_HUNG_UP} and at - view.answered_at <= ANNOUNCEMENT
