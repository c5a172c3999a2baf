"""What test calls say that stays on the page until it is no longer true; pure."""

from __future__ import annotations

from collections.abc import Sequence

from agent.say import say, sentences
from agent.testcall.evidence import Evidence, Result, Subject
from agent.testcall.schedule import same_binding


def notices(past: Sequence[Evidence], here: Subject) -> tuple[str, ...]:
    """Return what somebody should know of the binding in use, from test calls newest first.

    Another address that was heard stays until a newer test call of the same binding was heard to be right, or until
    something else is bound. A last test call without a voice stays until the next one.
    """
    ours = [one for one in past if same_binding(one.tested, here) and not one.moved]
    told = next((one.answer for one in ours if one.answer is not None), None)
    found: list[str] = []
    if told is not None and not told.same:
        found.append(
            say(
                "A test call did not say the address of this phone (heard by {who}): 911 may send help to the "
                "wrong place. Confirm the address again and make another test call; if you call 911, say where "
                "you are.",
                who=told.who,
            )
        )
    last = next((one for one in ours if one.result is not Result.GIVEN_UP), None)
    if last is not None and last.result is not Result.SPEECH:
        found.append(sentences(last.sentence, say("The page of the test call says what to do.")))
    return tuple(found)
