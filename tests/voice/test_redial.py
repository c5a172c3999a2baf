"""When an emergency call is dialed again by itself, and when never: without a network (S1, EMERGENCY.md)."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from agent.voice.calls import handover
from agent.voice.calls.calls import Calls
from agent.voice.calls.leg import REDIALS
from agent.voice.calls.values import Call, Interlock, Pending
from agent.voice.events import CallEvent, Trying
from agent.voice.socket.server import Carried
from agent.voice.watchdog import HANGS, Watchdog

from .test_interlock import DeadLine

BYE = 200
"""What the stack says of a call that one of both sides hung up."""


class Phone:
    """Calls on a stack that does as it is told, and all that was told of them."""

    def __init__(self) -> None:
        self.stack = DeadLine()
        self.told: list[Call] = []
        self.ways: list[int] = []
        line: Any = self.stack
        self.calls = Calls(
            line, domain=lambda: "x", prepare=self._prepare, tell=self._tell, callback_window=300
        )  # fmt: skip

    def _prepare(self, attempt: int) -> bool:
        self.ways.append(attempt)
        return False

    def _tell(self, news: Call | Interlock) -> None:
        if isinstance(news, Call):
            self.told.append(news)

    def talk(self, to: str = "911") -> None:
        """Dial and be answered."""
        self.calls.place(to, 0.0)
        self.calls.on_event(CallEvent(1, "confirmed", "out", 200, "OK"), 1.0)

    def end(self, code: int, now: float = 60.0, call: int = 1) -> None:
        """Let the stack end the call."""
        self.calls.on_event(CallEvent(call, "ended", "out", code, "gone"), now)
        self.calls.tick(now)


@pytest.mark.parametrize("code", [408, 481, 503])
def test_s1_an_answered_911_call_that_was_cut_off_is_dialed_again_at_once_under_its_own_number(code: int) -> None:
    phone = Phone()
    phone.talk()
    phone.end(code)
    assert phone.stack.dialed == 2
    (call,) = phone.calls.up
    assert (call.number, call.state, call.answered_at) == (1, "calling", None)
    assert call.again == "The call was cut off on this side; 911 is being dialed again. Stay on the phone."
    assert phone.calls.interlock.until is None, "the emergency goes on"
    phone.calls.on_event(CallEvent(2, "confirmed", "out", 200, "OK"), 62.0)
    (call,) = phone.calls.up
    assert (call.state, call.answered_at, call.again) == ("confirmed", 62.0, None)


def test_s1_an_answered_911_call_whose_stack_was_built_anew_is_dialed_again() -> None:
    phone = Phone()
    phone.talk()
    phone.calls.stack_restarted(60.0)
    phone.calls.tick(60.0)
    assert phone.stack.dialed == 2
    assert [call.again is not None for call in phone.calls.up] == [True]


def test_a_911_call_that_somebody_hung_up_is_not_dialed_again() -> None:
    there = Phone()
    there.talk()
    there.end(BYE)
    assert (there.stack.dialed, there.told[-1].ended) == (1, "The other side hung up.")
    here = Phone()
    here.talk()
    here.calls.hangup(1, 59.0)
    here.end(408)
    assert (here.stack.dialed, here.told[-1].ended) == (1, "Ended here.")


def test_s1_a_911_call_that_is_dialed_beside_an_ordinary_one_is_not_kept_waiting_for_that_ones_sake() -> None:
    phone = Phone()
    seen: list[str] = [phone.calls.talking]
    phone.talk("+14155550100")
    seen.append(phone.calls.talking)
    phone.calls.place("911", 2.0)
    seen.append(phone.calls.talking)
    phone.calls.on_event(CallEvent(2, "confirmed", "out", 200, "OK"), 3.0)
    seen.append(phone.calls.talking)
    assert seen == ["", "call", "", "emergency"], "a stack that hangs while 911 is dialed is started anew at once"


def test_while_it_waits_to_be_dialed_again_it_can_be_hung_up() -> None:
    phone = Phone()
    phone.talk()
    phone.end(503)
    phone.calls.on_event(CallEvent(2, "ended", "out", 503, "gone"), 61.0)
    phone.calls.hangup(1, 61.1)
    phone.calls.tick(100.0)
    assert phone.stack.dialed == 2
    assert (phone.calls.up, phone.told[-1].again) == ((), None)


@pytest.mark.parametrize("to", ["933", "+14155550100"])
def test_nothing_but_a_real_emergency_call_is_dialed_again_after_it_was_answered(to: str) -> None:
    phone = Phone()
    phone.talk(to)
    phone.end(408)
    assert phone.stack.dialed == 1
    assert phone.calls.pending() == ()


def test_a_callback_that_was_cut_off_is_not_dialed_as_nobody_here_dialed_it() -> None:
    phone = Phone()
    phone.talk()
    phone.end(BYE)
    phone.calls.on_event(CallEvent(9, "ringing", "in", 0, "", remote="sip:psap@x"), 70.0)
    phone.calls.on_event(CallEvent(9, "confirmed", "in", 200, ""), 71.0)
    phone.end(408, now=80.0, call=9)
    assert phone.stack.dialed == 1
    assert phone.calls.interlock.active, "they can call again"


def test_s11_a_far_end_that_answers_and_is_lost_every_time_is_not_dialed_for_ever() -> None:
    phone = Phone()
    phone.talk()
    for at in range(1, 50):
        phone.end(408, now=100.0 * at, call=at)
        phone.calls.tick(100.0 * at + 50.0)
        phone.calls.on_event(CallEvent(at + 1, "confirmed", "out", 200, "OK"), 100.0 * at + 60.0)
    assert phone.stack.dialed == len(REDIALS) + 1
    assert phone.calls.up == ()


def test_s1_every_attempt_is_told_and_what_is_heard_of_it() -> None:
    phone = Phone()
    phone.calls.place("911", 0.0)
    phone.calls.tick(4.1)
    phone.calls.on_event(Trying(2), 4.2)
    assert [(call.reason, call.attempt) for call in phone.told] == [
        ("", 0), ("dialing again: no answer", 1), ("Trying", 2),
    ]  # fmt: skip
    phone.calls.tick(24.3)
    assert (phone.told[-1].code, phone.told[-1].reason) == (0, "dialing again: no answer")
    assert phone.stack.dialed == 3


def test_s1_a_call_that_hung_takes_its_way_again_and_another_one_when_it_hung_there_twice() -> None:
    phone = Phone()
    phone.calls.place("911", 0.0)
    phone.calls.tick(4.1)
    (pending,) = phone.calls.pending()
    once, twice = Phone(), Phone()
    once.calls.restore(pending, 10.0)
    twice.calls.restore(pending, 10.0, other_way=True)
    assert (phone.ways, once.ways, twice.ways) == ([0, 1], [1], [2])
    assert [call.attempt for call in once.calls.up] == [3]
    assert once.told[0].reason == "dialing again: the phone line hung"


def test_s1_each_hang_in_a_row_is_borne_longer_so_that_a_slow_invite_leaves_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(HANGS, raising=False)
    first, second = threading.Event(), threading.Event()
    slow = Watchdog(second.set, deadline=0.3, hangs=2)
    slow.start()
    quick = Watchdog(first.set, deadline=0.3)
    quick.start()
    assert first.wait(10)
    assert os.environ[HANGS] == "1"
    assert not second.is_set()
    assert second.wait(10)
    quick.stop()
    slow.stop()
    assert os.environ.pop(HANGS) == "3"


def test_s1_a_handover_that_fails_is_tried_again_and_given_up_before_the_line_is() -> None:
    tried: list[int] = []
    over = threading.Event()

    def fail() -> None:
        tried.append(len(tried))
        raise RuntimeError("dictionary changed size during iteration")

    watchdog = Watchdog(fail, deadline=0.1, give_up=over.set)
    watchdog.start()
    assert over.wait(10)
    watchdog.stop()
    os.environ.pop(HANGS)
    assert tried[:3] == [0, 1, 2]


def test_s1_a_life_that_hangs_before_it_has_taken_up_everything_hands_the_rest_on() -> None:
    one, two = Carried(7, "app", b"", torn=False), Carried(8, "agent", b"{", torn=False)
    calls = [Pending(3, "911", 1.0, 2.0), Pending(4, "933", 1.0, 2.0)]
    earlier = handover.Handover(5, [one, two], calls, [{"call": 1}], 7.5)
    now = handover.Handover(5, [one], calls[:1], [{"call": 2}], 7.5)
    assert now.with_rest_of(earlier) == handover.Handover(5, [one, two], calls, [{"call": 1}, {"call": 2}], 7.5)
    assert now.with_rest_of(handover.Handover()) == now
