"""Calls without a network: what the interlock and an emergency call's way out depend on (S1, S4)."""

from __future__ import annotations

import asyncio
import json
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import SipSettings
from agent.voice.calls.calls import Calls
from agent.voice.calls.values import Call, Interlock
from agent.voice.events import CallEvent, Dial, Wish
from agent.voice.service import Service


class DeadLine:
    """A stack whose far end never answers a BYE."""

    def __init__(self) -> None:
        self.dialed = 0

    def call(self, dial: Dial) -> int:  # noqa: ARG002
        self.dialed += 1
        return self.dialed

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


def calls(prepare: Callable[[int], bool] = lambda _: False) -> Calls:
    def tell(news: Call | Interlock) -> None:
        del news

    line: Any = DeadLine()
    return Calls(line, domain=lambda: "x", prepare=prepare, tell=tell, callback_window=300)


def test_s4_a_callback_keeps_the_interlock_beyond_the_end_of_the_window() -> None:
    phone = calls()
    phone.place("911", 0.0)
    phone.on_event(CallEvent(1, "confirmed", "out", 200, ""), 2.0)
    phone.on_event(CallEvent(1, "ended", "out", 200, ""), 60.0)
    phone.on_event(CallEvent(9, "ringing", "in", 0, "", remote="sip:psap@x"), 350.0)
    phone.on_event(CallEvent(9, "confirmed", "in", 200, ""), 352.0)
    phone.tick(400.0)
    assert phone.interlock.active, "the dispatcher is on the line"
    due = phone.next_due()
    assert due is None or due > 400.0, "nothing spins meanwhile"
    phone.on_event(CallEvent(9, "ended", "in", 200, ""), 410.0)
    phone.tick(411.0 + 300.0)
    assert not phone.interlock.active


def test_s1_an_ordinary_call_that_was_hung_up_does_not_keep_the_way_of_a_911_call() -> None:
    busy: list[bool] = []

    def prepare(attempt: int) -> bool:
        busy.append(phone.stack_calls() > 0)
        return attempt > 0

    phone = calls(prepare=prepare)
    phone.place("+14155550100", 0.0)
    phone.on_event(CallEvent(1, "confirmed", "out", 200, ""), 1.0)
    phone.place("911", 10.0)
    assert busy[-1] is False


def in_a_test() -> Calls:
    """Return calls of which a test call that gives way is the only one; the stack's first call."""
    phone = calls()
    phone.place("933", 0.0, wish=Wish(yields=True))
    phone.on_event(CallEvent(1, "confirmed", "out", 200, ""), 1.0)
    return phone


def test_a_test_call_that_gives_way_ends_for_whoever_places_a_call() -> None:
    phone = in_a_test()
    phone.place("+14155550100", 2.0)
    phone.on_event(CallEvent(1, "ended", "out", 200, ""), 2.1)
    assert [call.to for call in phone.up] == ["+14155550100"]
    assert not phone.interlock.active


def test_a_caller_during_a_test_call_that_gives_way_is_no_dispatcher() -> None:
    phone = in_a_test()
    phone.on_event(CallEvent(9, "ringing", "in", 0, "", remote="sip:friend@x"), 2.0)
    phone.on_event(CallEvent(1, "ended", "out", 200, ""), 2.1)
    (call,) = phone.up
    assert (call.direction, call.callback, call.emergency) == ("in", False, False)
    assert not phone.interlock.active


def test_s4_a_test_call_that_somebody_dialed_gives_way_to_nobody_but_911() -> None:
    phone = calls()
    phone.place("933", 0.0)
    with pytest.raises(ValueError, match="have to wait"):
        phone.place("+14155550100", 2.0)
    assert [call.to for call in phone.up] == ["933"]


def test_s4_a_crash_during_a_911_call_does_not_forget_the_interlock(tmp_path: Path) -> None:
    settings = SipSettings(
        socket=tmp_path / "voice.sock", state_file=tmp_path / "state", registrar="127.0.0.1", username="kiosk"
    )

    async def dial_and_die() -> None:
        service = Service(settings, "secret", [], random.Random(1))
        service._tell(Interlock(active=True, until=None, why="emergency call to 911"))
        service.saver.shutdown()

    asyncio.run(dial_and_die())
    assert json.loads((tmp_path / "state").read_text())["interlock_until"] == math.inf

    async def come_back() -> Interlock:
        service = Service(settings, "secret", [], random.Random(1))
        service.calls.restore_window(min(service.state.interlock_until, time.monotonic() + settings.callback_window))
        return service.calls.interlock

    interlock = asyncio.run(come_back())
    assert interlock.active
    assert interlock.until is not None
