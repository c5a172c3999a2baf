"""S1: 933 and 911 reach the PSAP with sound, whatever state the phone, its agent and its address are in."""

from __future__ import annotations

import pytest

from agent.lab.stage import Stage, secret
from tests.e2e.conftest import Open
from tests.e2e.house import bound, confirm, kill, move_in, shows, switch_on, truly_bound, wall
from tests.e2e.phone import HEARD, Handset, calls, dial, loudest

pytestmark = [pytest.mark.netns, pytest.mark.sip]

ORDINARY = "+14155550123"
AT_OFFICE = "123 Main St"
NOWHERE = "There is no emergency address for this phone."
AUDIBLE = 1000
"""Of 32767: far above the noise of mu-law, far below a voice."""


def brief(stage: Stage) -> int:
    """Let the far ends talk for two seconds; return a mark of the platform's log."""
    stage.control("POST", "legs", {"longest_text": 2.0})
    return stage.platform_mark()


def reaches_psap(stage: Stage, text: str) -> None:
    """Dial 933 with the command: the PSAP answers and is heard, hears us, and nobody asked the gate."""
    mark = brief(stage)
    code, states = dial(stage, "933")
    assert code == 0, states
    sound = [line["sound"] for line in states if line.get("sound")][-1]
    assert min(sound["rx_packets"], sound["tx_packets"]) > HEARD
    far_end(stage, mark, text)


def far_end(stage: Stage, mark: int, text: str) -> None:
    """Assert what the PSAP saw of one call to 933 that is over."""
    (answered,) = calls(stage, mark, "answered", "933")
    assert answered["leg"] == "psap"
    assert text in answered["text"]
    (ended,) = calls(stage, mark, "ended", "933")
    assert min(ended["received"], ended["sent"]) > HEARD
    assert calls(stage, mark, "gate", "933") == []


def test_s1_933_reaches_the_psap_and_is_heard(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    mark = brief(stage)
    with Handset(stage, "933") as handset:
        handset.sound(HEARD)
        handset.wait("ended")
    assert loudest(handset.record) > AUDIBLE
    far_end(stage, mark, AT_OFFICE)
    reaches_psap(stage, AT_OFFICE)


def test_s1_933_goes_out_with_the_agent_stopped(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    reaches_psap(stage, AT_OFFICE)


def test_s1_933_goes_out_without_an_address(open_stage: Open) -> None:
    stage = open_stage("movable")
    switch_on(stage)
    shows(stage, "unbound", "place_new")
    assert truly_bound(stage) == set()
    reaches_psap(stage, NOWHERE)


def test_s1_933_goes_out_without_registration(open_stage: Open) -> None:
    stage = open_stage()
    stage.start_platform()
    stage.write_config()
    secret(stage.folder / "sip-password", "wrong")
    stage.lab.plug("office")
    stage.start_voice()
    stage.start_agent()
    shows(stage, "fault", "wrong_password")
    assert stage.control("GET", "location") == []
    reaches_psap(stage, "")


def test_s1_933_goes_out_while_the_cable_is_being_moved(open_stage: Open) -> None:
    stage = open_stage("movable")
    move_in(stage)
    mark = brief(stage)
    stage.lab.unplug(release=True)
    with wall(stage, "tcp dport 8080"), Handset(stage, "933") as handset:
        handset.wait("calling")
        stage.lab.plug("home")
        handset.sound(HEARD)
        handset.wait("ended")
    assert loudest(handset.record) > AUDIBLE
    far_end(stage, mark, NOWHERE)
    starts = calls(stage, mark, "start", "933")
    assert {one["source"] for one in starts} == {"198.51.100.20"}


def test_s1_s4_a_911_call_survives_the_death_of_the_agent(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    mark = brief(stage)
    with Handset(stage, "911") as handset:
        handset.sound(HEARD)
        kill(stage, "agent")
        stage.start_agent()
        stage.wait_until("the interlock", lambda seen: bool(seen["interlock"]))
        handset.sound(handset.packets() + 2 * HEARD)
        assert calls(stage, mark, "ended", "911") == []
    assert len(calls(stage, mark, "start", "911")) == 1


def test_s1_only_ordinary_calls_need_an_address(open_stage: Open) -> None:
    stage = open_stage("movable")
    switch_on(stage)
    shows(stage, "unbound", "place_new")
    mark = brief(stage)
    dial(stage, ORDINARY)
    (gate,) = calls(stage, mark, "gate", ORDINARY)
    assert gate["allowed"] is False
    (answered,) = calls(stage, mark, "answered", ORDINARY)
    assert answered["leg"] == "announcement"
    assert "emergency address is not registered" in answered["text"]
    reaches_psap(stage, NOWHERE)
    mark = brief(stage)
    with Handset(stage, "911") as handset:
        handset.sound(HEARD)
    (emergency,) = calls(stage, mark, "answered", "911")
    assert emergency["leg"] == "psap"
    assert calls(stage, mark, "gate", "911") == []


def test_an_ordinary_call_goes_through_where_an_address_is_bound(open_stage: Open) -> None:
    stage = open_stage("movable")
    switch_on(stage)
    stage.wait_until("the question", lambda seen: seen["ask"] != "nothing")
    confirm(stage)
    bound(stage)
    mark = brief(stage)
    with Handset(stage, ORDINARY) as handset:
        handset.sound(HEARD)
    assert loudest(handset.record) > AUDIBLE
    (answered,) = calls(stage, mark, "answered", ORDINARY)
    assert answered["leg"] == "answer"
