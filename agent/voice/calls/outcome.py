"""Why a call is over, in words for people and in one word for programs; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from agent.voice.calls.values import Call

DIAL_AGAIN: Final = " Dial again, or use another phone."
_REFUSALS: Final = {
    401: ("credentials", "The network did not accept this phone's name and password"),
    403: ("forbidden", "The network does not allow this call"),
    404: ("not_found", "Nobody has this number"),
    407: ("credentials", "The network did not accept this phone's name and password"),
    410: ("not_found", "Nobody has this number any more"),
    480: ("unavailable", "The other side is not available"),
    484: ("not_found", "The number is not complete"),
    486: ("busy", "The other side is busy"),
    487: ("no_answer", "The call ended before anybody answered"),
    600: ("busy", "The other side is busy"),
    603: ("declined", "The other side declined the call"),
    604: ("not_found", "Nobody has this number"),
}
"""SIP status -> word and words (RFC 3261 21)."""


def lost_call(call: Call) -> Call:
    """Return the end of a call that the process, starting anew, cannot take along."""
    sentence = "The phone line hung and was started anew; the call is lost." + DIAL_AGAIN
    return replace(call, state="ended", ended=sentence)


def ended(call: Call, *, here: str = "", early: bool = False) -> tuple[str, str | None]:
    """Return the sentence and the word for a call that is over.

    `here` is the sentence of whoever ended it on this side, `early` says that it heard something before the end.
    """
    if here:
        return here, None
    if call.answered_at is not None:
        return "The other side hung up.", None
    if call.direction == "in":
        return "The caller gave up before anybody answered.", None
    said = f" ({call.code} {call.reason})" if call.code and call.reason else ""
    more = DIAL_AGAIN if call.emergency else ""
    if early and call.code not in {486, 600, 603}:
        return f"The network said something and ended the call{said}.{more}", "announcement"
    if call.attempt == 0 or call.code in {0, 408, 500, 502, 503, 504}:
        return f"Nobody could be reached{said}.{more}", "no_way"
    word, words = _REFUSALS.get(call.code, ("unavailable", "The call was not accepted"))
    return f"{words}{said}.{more}", word
