"""Why a call is over, in words for people and in one word for programs; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.say import say, sentences
from agent.voice.calls.values import Call

DIAL_AGAIN: Final = say("Dial again, or use another phone.")
PEER_HUNG_UP: Final = say("The other side hung up.")
_NOT_ACCEPTED: Final = say("The call was not accepted")
_REFUSALS: Final = {
    401: ("credentials", say("The network did not accept this phone's name and password")),
    403: ("forbidden", say("The network does not allow this call")),
    404: ("not_found", say("Nobody has this number")),
    407: ("credentials", say("The network did not accept this phone's name and password")),
    410: ("not_found", say("Nobody has this number any more")),
    480: ("unavailable", say("The other side is not available")),
    484: ("not_found", say("The number is not complete")),
    486: ("busy", say("The other side is busy")),
    487: ("no_answer", say("The call ended before anybody answered")),
    600: ("busy", say("The other side is busy")),
    603: ("declined", say("The other side declined the call")),
    604: ("not_found", say("Nobody has this number")),
}
"""SIP status -> word and words (RFC 3261 21)."""


def cut_off(number: str) -> str:
    """Return why an emergency call that was answered is dialed again."""
    return say("The call was cut off on this side; {number} is being dialed again. Stay on the phone.", number=number)


def lost_call(call: Call) -> Call:
    """Return the end of a call that the process, starting anew, cannot take along."""
    hung = say("The phone line hung and was started anew; the call is lost.")
    return replace(call, state="ended", ended=sentences(hung, DIAL_AGAIN))


def ended(call: Call, *, here: str = "", early: bool = False) -> tuple[str, str | None]:
    """Return the sentence and the word for a call that is over.

    `here` is the sentence of whoever ended it on this side, `early` says that it heard something before the end.
    """
    if here:
        return here, None
    if call.answered_at is not None:
        return PEER_HUNG_UP, None
    if call.direction == "in":
        return say("The caller gave up before anybody answered."), None
    answer = f" ({call.code} {call.reason})" if call.code and call.reason else ""
    more = DIAL_AGAIN if call.emergency else ""
    if early and call.code not in {486, 600, 603}:
        said = say("The network said something and ended the call{answer}.", answer=answer)
        return sentences(said, more), "announcement"
    if call.attempt == 0 or call.code in {0, 408, 500, 502, 503, 504}:
        return sentences(say("Nobody could be reached{answer}.", answer=answer), more), "no_way"
    word, words = _REFUSALS.get(call.code, ("unavailable", _NOT_ACCEPTED))
    return sentences(say("{words}{answer}.", words=words, answer=answer), more), word
