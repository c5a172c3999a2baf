"""S4: a call with sound lives through changes of the network, both ways again each time; the gaps are measured.

`python -m pytest tests/e2e/test_carry_over.py -s` prints them. The method: a tap in the platform's namespace sees what
comes from the phone, a tap in the device's what reaches it, both with the kernel's time of each packet; a gap is the
longest silence between two packets from just before the change on. 50 packets a second: 0.02 s is no silence at all.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from agent.lab.stage import Stage
from agent.lab.topology import PLATFORM, ROUTERS
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, confirm, truly_bound
from tests.e2e.phone import calls
from tests.voice.tap import Tap, longest_gap
from tests.voice.wire import Line, until

pytestmark = [pytest.mark.netns, pytest.mark.sip]

ORDINARY = "+14155550123"
QUIET = 1.0
"""Seconds of sound without a hole after which a change counts as survived."""
WINDOW = 3.0
LIMIT = 5.0
"""Seconds of silence that end the test: no expectation about speed, a dead direction."""


@dataclass
class Talk:
    """A call that is up, seen from both ends."""

    stage: Stage
    line: Line
    number: int
    here: Tap
    there: Tap

    def sound(self) -> tuple[list[float], list[float]]:
        """Return the times of RTP that reached the platform, and of RTP that reached the device."""
        up = [one.at for one in list(self.there.packets) if one.is_rtp and one.target == PLATFORM]
        down = [one.at for one in list(self.here.packets) if one.is_rtp and one.source == PLATFORM]
        return up, down

    def whole(self, since: float) -> bool:
        """Return whether both directions have flowed without a hole for a while, newer than `since`."""
        now = time.time()
        for times in self.sound():
            newest = [at for at in times if at > max(since, now - QUIET)]
            if len(newest) < QUIET * 50 * 0.9 or now - newest[-1] > 0.2:
                return False
        return now - since > QUIET

    def after(self, what: str, change: Any) -> tuple[float, float]:
        """Make a change; wait until sound is whole again; return the gaps up and down."""
        start = time.time()
        until(lambda: self.whole(start), PATIENCE)
        began = time.time()
        change()
        done = time.time()
        until(lambda: self.whole(done), PATIENCE)
        up, down = (longest_gap([at for at in times if at > began - 0.5]) for times in self.sound())
        print(f"{what}: {up:.3f} s without sound from the phone, {down:.3f} s without sound to it")  # noqa: T201
        assert max(up, down) < LIMIT
        return up, down


@pytest.fixture
def world(open_stage: Open) -> Stage:
    """A phone at the office with a backup uplink that is up, an address bound."""
    stage = open_stage(backup=True)
    stage.start_platform()
    stage.write_config(sip=f"callback_window = {WINDOW}")
    stage.lab.plug("office")
    stage.lab.backup(up=True)
    stage.start_voice()
    stage.start_agent()
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing", PATIENCE)
    confirm(stage)
    bound(stage)
    return stage


def talk(stage: Stage, stack: ExitStack, number: str) -> Talk:
    """Call, and tap both ends."""
    here = stack.enter_context(Tap(stage.lab.namespace("device"), "eth0", "eth1"))
    there = stack.enter_context(Tap(stage.lab.namespace("platform"), "isp-a", "isp-b"))
    line = Line(stage.folder / "voice.sock")
    stack.callback(line.close)
    line.say(type="call", to=number, req_id="talk")
    up = line.hear(type="call", state="confirmed", req_id="talk", patience=PATIENCE)
    return Talk(stage, line, up["call"], here, there)


def to_backup_and_back_and_renumbered(one: Talk) -> None:
    """The three changes; the dialog is the same at the far end all the time."""
    stage = one.stage
    one.after("wired to backup", stage.lab.wired_down)
    one.after("backup to wired", lambda: stage.lab.plug("office"))
    one.after("another address on the same link", lambda: stage.lab.renumber("192.168.7.1"))


def test_s4_a_911_call_survives_wired_to_backup_and_back_and_a_new_address(world: Stage) -> None:
    stage = world
    with ExitStack() as stack:
        mark = stage.platform_mark()
        one = talk(stage, stack, "911")
        to_backup_and_back_and_renumbered(one)
        sources = {packet.source for packet in one.there.packets if packet.is_rtp and packet.target == PLATFORM}
        assert sources == {ROUTERS["office"].wan, ROUTERS["backup"].wan}
        assert len(calls(stage, mark, "start", "911")) == 1, "dialed once"
        assert calls(stage, mark, "ended", "911") == []
        assert len(calls(stage, mark, "reinvite", "911")) >= 3
        # Nothing was rebound while the call was up: every REGISTER since then that presents an id presents the one
        # that was bound when it began, or none.
        shown = {entry["presented"] for entry in stage.platform_log("register", mark)}
        assert len(shown - {None, ""}) <= 1
        one.line.say(type="hangup", call=one.number)
        one.line.hear(type="call", call=one.number, state="ended")
        window = one.line.hear(type="interlock", active=True)
        assert window["until"] is not None
        until(lambda: calls(stage, mark, "ended", "911"))
        (ended,) = calls(stage, mark, "ended", "911")
        assert ended["by"] == "caller", "the BYE came over the last path"
        one.line.hear(type="interlock", active=False, patience=PATIENCE)
    bound(stage)


def test_s4_a_confirmation_during_a_911_call_is_carried_out_after_the_callback_window(world: Stage) -> None:
    stage = world
    with ExitStack() as stack:
        one = talk(stage, stack, "911")
        before = truly_bound(stage)
        mark = stage.platform_mark()
        one.after("wired to home", lambda: stage.lab.plug("home"))
        until(lambda: calls(stage, mark, "reinvite", "911"))  # both sites lease the same address to the phone
        presented = {entry["presented"] for entry in stage.platform_log("register", mark)} - before - {None, ""}
        assert presented == set(), "no other id was presented during the call"
        assert stage.platform_log("write", mark) == [], "nothing was bound, cleared or registered during the call"
        one.line.say(type="hangup", call=one.number)
        one.line.hear(type="call", call=one.number, state="ended")
        one.line.hear(type="interlock", active=True)
        assert stage.platform_log("write", mark) == [], "nor in the callback window"
        one.line.hear(type="interlock", active=False, patience=PATIENCE)
        stage.wait_until("the queued binding", lambda seen: seen["status"]["kind"] == "provisional", PATIENCE)
        assert stage.platform_log("write", mark) != []


def test_an_ordinary_call_survives_the_same_without_an_interlock(world: Stage) -> None:
    stage = world
    with ExitStack() as stack:
        mark = stage.platform_mark()
        one = talk(stage, stack, ORDINARY)
        to_backup_and_back_and_renumbered(one)
        assert calls(stage, mark, "ended", ORDINARY) == []
        assert len(calls(stage, mark, "start", ORDINARY)) == 1
        assert [line for line in one.line.heard if line["type"] == "interlock" and line["active"]] == []
        bound(stage)
        assert calls(stage, mark, "ended", ORDINARY) == [], "the address was bound anew while the call was up"
        one.line.say(type="hangup", call=one.number)
        one.line.hear(type="call", call=one.number, state="ended")
