"""A phone's life: programs die, the phone moves while it is off, two phones share a user, the platform says no."""

from __future__ import annotations

from typing import Any

import pytest

from agent.lab.stage import HOME, LIT, USER, Stage
from tests.e2e.conftest import Open
from tests.e2e.house import (
    PATIENCE,
    back_voice,
    bound,
    confirm,
    delete_elsewhere,
    end_voice,
    eventually,
    kill,
    lights,
    look,
    move_in,
    never_lit,
    shows,
    truly_bound,
    wall,
)

pytestmark = [pytest.mark.netns, pytest.mark.sip]

STILL = "Is this phone still at 123 Main St, Suite 400?"
BOUNCE = 1
"""Seconds that a link is down when somebody plugs the cable into another port: part of the story, no expectation."""
QUIET = 5
"""Seconds in which a phone that is put out of its session would have come back at the usual pace (1 s, 2 s)."""


def registers(stage: Stage, since: int) -> list[dict[str, Any]]:
    """Return the REGISTERs with credentials, without retransmissions."""
    return [one for one in stage.platform_log("register", since) if one["authenticated"] and not one["again"]]


def anything(stage: Stage, kind: str, since: int, seconds: float) -> list[dict[str, Any]]:
    """Return what the platform logs of a kind, waiting so long for a first entry."""
    found: list[dict[str, Any]] = stage.control("GET", f"log?since={since}&kind={kind}&wait={seconds}")["entries"]
    return found


def first_light(stage: Stage, since: int) -> dict[str, Any]:
    """Wait for the next change of the light and return it."""
    return stage.logs["agent"].wait("a change of the light", lambda line: line.get("event") == "status", after=since)


def read_backs(stage: Stage, address: str, since: int) -> list[float]:
    """Return when the platform answered GETs of an address, after the session in use was accepted."""
    accepted = [one["at"] for one in stage.platform_log("session", since) if one["what"] == "authenticated"]
    return [
        one["at"]
        for one in stage.platform_log("request", since)
        if one["method"] == "GET" and one["path"].endswith(address) and accepted and one["at"] > accepted[-1]
    ]


def move_while_off(stage: Stage) -> None:
    """Switch the phone off, carry it home and switch it on again (failure 23)."""
    stage.stop_agent()
    end_voice(stage)
    stage.lab.plug("home")
    back_voice(stage)
    stage.start_agent()


def test_s2_an_agent_that_was_killed_proves_the_office_again_without_a_question(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    kill(stage, "agent")
    mark = stage.platform_mark()
    stage.start_agent()
    assert bound(stage) == address
    lit = [line for line in lights(stage) if line["kind"] in LIT]
    assert [line["kind"] for line in lit] == ["bound"]
    assert min(read_backs(stage, address, mark), default=lit[0]["t"]) < lit[0]["t"], "lit before it was read back"
    asked = {line["ask"] for line in stage.logs["agent"].since(0) if line.get("event") == "decision"}
    assert asked == {"nothing"}
    assert stage.platform_log("write", mark) == []


def test_s2_a_restarted_agent_claims_nothing_of_its_past(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    kill(stage, "agent")
    with wall(stage, "tcp dport 8080"):
        stage.start_agent()
        stage.wait_until("the line", lambda seen: "seen from 203.0.113.10" in seen["phone"], PATIENCE)
        status, page = look(stage)
        assert status == 200
        assert "roven on this network" not in page
        never_lit(stage)
    assert bound(stage) == address


def test_s3_a_fixed_phone_that_was_moved_while_off_is_provisional_and_asks(open_stage: Open) -> None:
    stage = open_stage("fixed")
    office = move_in(stage)
    move_while_off(stage)
    overview = shows(stage, "provisional", "not_confirmed")
    assert overview["status"]["sentence"] == (
        "911 would send help to 123 Main St, Suite 400, San Francisco, CA 94105, "
        "but nobody has confirmed that this phone is there."
    )
    assert overview["question"] == STILL
    assert [line for line in lights(stage) if line["kind"] == "bound"] == []
    confirm(stage, HOME)
    assert bound(stage, HOME) != office


def test_s3_a_movable_phone_that_was_moved_while_off_presents_nothing_and_asks(open_stage: Open) -> None:
    stage = open_stage("movable")
    office = move_in(stage)
    mark = stage.platform_mark()
    move_while_off(stage)
    overview = shows(stage, "unbound", "place_new")
    assert overview["status"]["sentence"].endswith("the call goes out, but without a location.")
    assert overview["question"] == STILL
    eventually("the office's last binding gone", lambda: truly_bound(stage) == set())
    never_lit(stage)
    assert {one["address"] for one in stage.platform_log("present", mark)} == {None}
    confirm(stage, HOME)
    assert bound(stage, HOME) != office


def test_a_voice_process_that_was_killed_presents_the_id_again(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    mark, log = stage.platform_mark(), stage.logs["agent"].mark()
    kill(stage, "voice")
    stage.logs["agent"].wait("a new proof", lambda line: line.get("event") == "proven", after=log, seconds=PATIENCE)
    assert first_light(stage, log)["kind"] not in LIT
    assert bound(stage) == address
    assert [one["presented"] for one in registers(stage, mark)][-1] == address
    assert truly_bound(stage) == {address}
    assert stage.platform_log("write", mark) == []


def test_s11_a_carrier_bounce_at_the_same_place_costs_nothing(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    mark, log = stage.platform_mark(), stage.logs["agent"].mark()
    stage.lab.unplug()
    assert first_light(stage, log)["kind"] == "offline"
    assert anything(stage, "register", mark, BOUNCE) == []
    stage.lab.wired_up()
    stage.wait_status("bound", after=log, seconds=PATIENCE)
    assert bound(stage) == address
    assert registers(stage, mark) == []
    assert stage.platform_log("write", mark) == []


def test_two_phones_of_one_user_do_not_go_to_war(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    log = stage.logs["agent"].mark()
    stage.control("POST", "push", {"user": USER, "what": "session_replaced"})
    overview = shows(stage, "fault", "session_replaced", since=log)
    assert overview["status"]["sentence"] == (
        "Another device signed in as this phone's user and took its place. If somebody dials 911 now, the call goes "
        "out, but it is not certain that the right location goes with it."
    )
    never_lit(stage, log)
    mark = stage.platform_mark()
    assert [one for one in anything(stage, "session", mark, QUIET) if one["what"] == "open"] == []
    confirm(stage)
    assert bound(stage) == address


@pytest.mark.parametrize(
    ("notified", "cause"), [(True, "denied"), (False, "address_gone")], ids=["told at once", "found by the audit"]
)
def test_s6_an_address_deleted_elsewhere_is_asked_for_and_registered_again(
    open_stage: Open, cause: str, *, notified: bool
) -> None:
    stage = open_stage()
    address = move_in(stage, platform_more="audit_interval = 10")
    log = stage.logs["agent"].mark()
    stage.control("POST", "behavior", {"delete_notifies": notified})
    delete_elsewhere(stage, address)
    overview = shows(stage, "unbound", cause, since=log)
    assert overview["question"] == STILL
    assert truly_bound(stage) == set()
    assert [item["id"] for item in stage.saved()] == [], "nothing is registered before somebody answers"
    confirm(stage)
    assert bound(stage) != address
    never = [line for line in lights(stage, log) if line["kind"] in LIT][:-1]
    assert never == []


def test_s6_a_no_of_the_platform_turns_the_light_off_at_once(open_stage: Open) -> None:
    stage = open_stage()
    address = move_in(stage)
    log, mark = stage.logs["agent"].mark(), stage.platform_mark()
    stage.control("POST", "push", {"user": USER, "what": "network.changed"})
    first = first_light(stage, log)
    assert first["kind"] not in LIT
    overview = shows(stage, "unbound", "denied", since=log)
    assert overview["status"]["sentence"] == (
        "The platform refused the address on this network. If somebody dials 911 now, the call goes out, but without a "
        "location."
    )
    assert overview["question"] == STILL
    stage.logs["agent"].wait(
        "a line without the id",
        lambda line: line.get("event") == "registration" and line["code"] == 200 and line["presented"] is None,
        after=log,
    )
    assert truly_bound(stage) == set()
    assert stage.platform_log("write", mark) == []
    confirm(stage)
    assert bound(stage) == address
