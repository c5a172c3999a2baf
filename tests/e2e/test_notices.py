"""47 CFR 9.16(b)(2): at dialing people hear of it, each channel by itself, until somebody takes care of it."""

from __future__ import annotations

import re

import pytest

from agent.lab.stage import Stage
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, eventually, kill, look, move_in, wall
from tests.e2e.phone import HEARD, Handset, calls, dial
from tests.e2e.receivers import CALLBACK, Receivers

pytestmark = [pytest.mark.netns, pytest.mark.sip]

SHORT_WINDOW = "callback_window = 1"
AT_OFFICE = "123 Main St, Suite 400, San Francisco, CA 94105"


def quiet(stage: Stage) -> None:
    """Wait until no emergency call and no callback window is on."""
    stage.wait_until("the end of the interlock", lambda seen: not seen["interlock"], PATIENCE)


def acknowledge(stage: Stage) -> None:
    """Press the button of the only alert, on whatever page is open."""
    _, page = look(stage, "/history")
    [uid] = re.findall(r'name="id" value="([0-9a-f]{32})"', page)
    status, body = stage.visitor().submit("/history", "/notices/acknowledge", {"id": uid})
    assert status == 303, body


def test_a_911_call_is_told_everywhere_and_read_aloud_and_a_933_call_is_a_test(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(), sip=SHORT_WINDOW)
        with Handset(stage, "911") as handset:
            body = told.posted("dialed")
            assert (body["number"], body["test"], body["device"], body["callback_number"]) == (
                "911", False, "Lobby kiosk", CALLBACK,
            )  # fmt: skip
            assert (body["location"]["status"], body["location"]["text"]) == ("proven", AT_OFFICE)
            letter = told.mail.inbox.wait("the letter").message
            assert letter["Subject"] == "EMERGENCY CALL: 911 was dialed from Lobby kiosk"
            buzz = told.buzzed("dialed")
            assert (buzz.test, buzz.number, buzz.uid, buzz.location) == (False, "911", body["id"], AT_OFFICE)
            handset.sound(HEARD)
            told.posted("answered", id=body["id"])
            seen = stage.wait_until("the call on the page", lambda seen: bool(seen["emergency"]))
            assert (seen["emergency"]["certainty"], seen["emergency"]["conveyed"]) == ("confirmed", "proven")
            _, page = look(stage)
            assert "EMERGENCY CALL 911" in page
            assert "<span>123 Main St, Suite 400</span>" in page
            assert CALLBACK in page
            acknowledge(stage)
            assert told.posted("acknowledged", id=body["id"])["acknowledged_by"] == "cli"
            assert stage.status()["alerts"] == []
        over = told.posted("ended", id=body["id"])
        assert over["seconds"] > 0
        assert {one["id"] for one in told.bodies()} == {body["id"]}
        quiet(stage)
        stage.control("POST", "legs", {"longest_text": 1.0})
        assert dial(stage, "933")[0] == 0
        test = told.posted("dialed", number="933")
        assert test["test"]
        assert told.mail.inbox.wait("the test letter", lambda one: "[TEST]" in one.message["Subject"])
        assert stage.status()["alerts"] == []


def test_s1_a_dead_webhook_delays_neither_the_call_nor_the_other_channels(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(), sip=SHORT_WINDOW)
        mark = stage.platform_mark()
        with wall(stage, f"tcp dport {told.hook.port}"):
            with Handset(stage, "911") as handset:
                told.buzzed("dialed")
                told.mail.inbox.wait("the letter")
                handset.sound(HEARD)
                told.buzzed("answered")
            told.buzzed("ended")
            told.mail.inbox.wait("the last letter", lambda one: "over" in one.message["Subject"])
            assert told.bodies() == [], "the webhook was dead all the time"
        assert len(calls(stage, mark, "answered", "911")) == 1
        told.posted("ended")
        late = [event for one in told.bodies() for event in one["events"]]
        assert late == ["dialed", "answered", "ended"], "all that it missed, in order and once"


def test_without_any_network_page_and_command_hear_of_it_and_the_others_afterwards(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(), sip=SHORT_WINDOW)
        stage.lab.unplug(release=True)
        with Handset(stage, "911"):
            buzz = told.buzzed("dialed")
            stage.wait_until("the call on the page", lambda seen: [one["id"] for one in seen["alerts"]] == [buzz.uid])
            assert told.bodies() == []
        stage.lab.plug("office")
        told.posted("dialed", id=buzz.uid)
        told.mail.inbox.wait("the letter")
        quiet(stage)
        bound(stage)


def test_nobody_acknowledges_and_the_second_circle_hears_and_an_acknowledgement_stops_that(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(escalate_after=2), sip=SHORT_WINDOW)
        with Handset(stage, "911") as handset:
            taken = told.posted("dialed")["id"]
            acknowledge(stage)
            handset.sound(HEARD)
        quiet(stage)
        before = len(told.bodies())
        with Handset(stage, "911") as handset:
            second = told.posted("dialed", after=before)["id"]
            handset.sound(HEARD)
            kill(stage, "agent")
            stage.start_agent()
            assert told.buzzed("escalated", name="siren").uid == second
            told.posted("escalated", id=second)
            told.mail.inbox.wait("the boss's letter", lambda one: one.recipients == ("boss@example.net",))
            assert "NOT ACKNOWLEDGED" in told.mail.inbox.items[-1].message["Subject"]
            _, page = look(stage, "/addresses")
            assert "Nobody has acknowledged this call. Go and look." in page
            acknowledge(stage)
            eventually("the siren's end", lambda: told.buzzes("siren")[-1].event == "acknowledged")
        assert [one for one in told.bodies() if one["id"] == taken and "escalated" in one["events"]] == []
        assert {one.uid for one in told.buzzes("siren")} == {second}
