"""Hold and resume as a wish: the newest one comes true, one re-INVITE at a time, without a network."""

from __future__ import annotations

from typing import Any

from agent.voice.calls.calls import Calls
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import CallEvent, MediaChanged, Reinvited, StackError

from .test_interlock import DeadLine


class SlowFarEnd(DeadLine):
    """A stack that refuses a re-INVITE while one is unanswered, as PJSIP does."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bool] = []
        self.pending = False

    def hold(self, call: int, *, on: bool) -> None:
        del call
        if self.pending:
            raise StackError("Invalid operation (70013)")
        self.pending = True
        self.sent.append(on)


def in_a_call() -> tuple[Calls, SlowFarEnd, list[Call]]:
    told: list[Call] = []

    def tell(news: Call | Interlock) -> None:
        if isinstance(news, Call):
            told.append(news)

    stack = SlowFarEnd()
    line: Any = stack
    calls = Calls(line, domain=lambda: "x", prepare=lambda _: False, tell=tell, callback_window=300)
    calls.place("100", 0.0)
    calls.on_event(CallEvent(1, "confirmed", "out", 200, "OK"), 1.0)
    calls.on_event(MediaChanged(1), 1.0)
    return calls, stack, told


def answered(calls: Calls, stack: SlowFarEnd, now: float) -> None:
    """Let the far end agree to the re-INVITE that is out."""
    stack.pending = False
    calls.on_event(MediaChanged(1, active=not stack.sent[-1], held=stack.sent[-1]), now)


def test_a_resume_that_follows_a_hold_waits_for_its_answer_and_comes_true() -> None:
    calls, stack, told = in_a_call()
    calls.hold(1, 2.0, on=True)
    calls.hold(1, 2.1, on=False)
    assert (stack.sent, told[-1].held) == ([True], True)
    answered(calls, stack, 3.0)
    assert (stack.sent, told[-1].held) == ([True, False], False)
    answered(calls, stack, 4.0)
    assert stack.sent == [True, False]


def test_the_newest_wish_wins_and_what_was_wanted_in_between_is_never_sent() -> None:
    calls, stack, told = in_a_call()
    for at, on in enumerate((True, False, True, False, True)):
        calls.hold(1, 2.0 + at / 10, on=on)
    answered(calls, stack, 3.0)
    calls.tick(10.0)
    assert (stack.sent, told[-1].held) == ([True], True)


def test_a_wish_comes_true_although_nobody_tells_that_the_far_end_answered() -> None:
    calls, stack, _ = in_a_call()
    calls.hold(1, 2.0, on=True)
    calls.hold(1, 2.0, on=False)
    due = calls.next_due()
    assert due is not None
    stack.pending = False
    calls.tick(due)
    assert stack.sent == [True, False]


def test_two_sides_that_ask_at_once_try_again_and_a_refusal_ends_the_wish() -> None:
    calls, stack, told = in_a_call()
    calls.hold(1, 2.0, on=True)
    stack.pending = False
    calls.on_event(Reinvited(1, 491, "Request Pending"), 2.1)
    calls.tick(4.1)
    assert stack.sent == [True]
    calls.tick(4.3)
    assert stack.sent == [True, True]
    stack.pending = False
    calls.on_event(Reinvited(1, 488, "Not Acceptable Here"), 5.0)
    assert (told[-1].held, told[-1].sound_problem) == (
        False, "The call could not be put on hold. (488 Not Acceptable Here)",
    )  # fmt: skip
    calls.tick(100.0)
    assert stack.sent == [True, True]
    assert calls.next_due() is None


def test_s11_a_wish_that_the_stack_never_takes_is_given_up() -> None:
    calls, stack, told = in_a_call()
    stack.pending = True
    calls.hold(1, 2.0, on=True)
    tries = 0
    while (due := calls.next_due()) is not None:
        calls.tick(due)
        tries += 1
    assert tries < 100
    assert told[-1].sound_problem == "The call could not be put on hold. (Invalid operation (70013))"
    assert not told[-1].held


def test_a_phone_that_moved_says_its_contact_once_more_and_changes_nothing_else() -> None:
    calls, stack, told = in_a_call()
    before = len(told)
    stack.pending = True  # the re-INVITE that carries the call over
    calls.moved(2.0)
    assert stack.sent == []
    stack.pending = False
    calls.on_event(MediaChanged(1), 2.1)
    assert stack.sent == [False]
    answered(calls, stack, 2.2)
    calls.tick(10.0)
    assert stack.sent == [False]
    assert len(told) == before


def test_a_held_call_of_a_phone_that_moved_stays_held() -> None:
    calls, stack, _ = in_a_call()
    calls.hold(1, 2.0, on=True)
    answered(calls, stack, 2.1)
    calls.moved(3.0)
    assert stack.sent == [True, True]
    stack.pending = False
    calls.on_event(Reinvited(1, 491, "Request Pending"), 3.1)
    calls.tick(5.3)
    assert stack.sent == [True, True, True]


def test_a_call_that_another_one_puts_on_hold_too_early_is_held_a_moment_later() -> None:
    calls, stack, _ = in_a_call()
    calls.hold(1, 2.0, on=True)
    calls.hold(1, 2.1, on=False)
    calls.place("101", 2.2)
    answered(calls, stack, 3.0)
    assert stack.sent == [True], "the last wish is that it is held again"
    assert [call.held for call in calls.up] == [True, False]
