"""The phone on a real switch (lldpd): carried to another socket behind the same router and back."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from agent.lab.stage import OFFICE, Stage
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, eventually, look, move_in
from tests.network.frames import frame, tlv
from tests.network.switch import Switch, send

pytestmark = [pytest.mark.netns, pytest.mark.sip]

UPSTAIRS = replace(OFFICE, unit="Floor 4")
REASON = "what the network switch says"


def carry(stage: Stage, switch: Switch, port: str) -> None:
    """Pull the cable and plug the phone into another port of the same switch."""
    stage.lab.unplug()
    switch.port(port)
    stage.lab.plug("office")


def on_port(port: str) -> Any:
    return lambda seen: [one["port"] for one in seen["heard"]["ports"]] == [port]


def test_a_move_behind_the_same_router_asks_one_tap_answers_and_the_way_back_is_silent(open_stage: Open) -> None:
    stage = open_stage()
    with Switch(stage.lab) as switch:
        move_in(stage)
        stage.wait_until("the port", on_port("ge1"), PATIENCE)
        eventually("the place learns the port", lambda: "switch_port sw-2 ge1 on eth0" in stage.places()[0]["evidence"])

        carry(stage, switch, "ge2")
        switch.civic()
        seen = stage.wait_until("the question", lambda seen: seen["ask"] == "confirm_place", PATIENCE)
        assert seen["status"]["kind"] != "bound"
        assert on_port("ge2")(seen)
        seen = stage.wait_until("the suggestion", lambda seen: REASON in seen["choices"][1]["hint"], PATIENCE)
        assert seen["choices"][1]["civic"]["unit"] == "Floor 4"
        home = look(stage)[1]
        keys = re.findall(r'name="lost" value="(\w+)"', home)
        assert len(keys) == 1
        question = re.search(r'name="question_id" value="([^"]+)"', home)
        assert question is not None
        stage.visitor().submit("/", "/confirm", {"lost": keys[0], "question_id": question[1]})
        bound(stage, UPSTAIRS)
        page = look(stage, "/history")[1]
        assert "Plugged into port ge2 of the network switch access-2" in page

        for port, civic in (("ge1", OFFICE), ("ge2", UPSTAIRS), ("ge1", OFFICE)):
            mark = len(stage.logs["agent"].lines)
            carry(stage, switch, port)
            stage.wait_until("the port", on_port(port), PATIENCE)
            bound(stage, civic)
            questions = [line for line in stage.logs["agent"].lines[mark:] if line.get("ask") not in {None, "nothing"}]
            assert questions == []

        switch.civic(number="125")
        seen = stage.wait_until("the alarm", lambda seen: bool(seen["notices"]), PATIENCE)
        assert seen["notices"][0].startswith("The network says that this phone is at 125 Main St, Floor 4, ")
        assert seen["status"]["kind"] == "bound"

        stage.stop_agent()  # moved while it is switched off
        carry(stage, switch, "ge3")
        stage.start_agent()
        seen = stage.wait_until("the question", lambda seen: seen["ask"] == "confirm_place", PATIENCE)
        assert on_port("ge3")(seen)


def test_s2_a_flood_of_hostile_frames_neither_moves_the_phone_nor_reaches_the_page_as_markup(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    send(stage.lab, [frame(b"\x04\2\0\0\0\1\0", b"\x07<i>1", 600)])
    stage.wait_until("the port", on_port("<i>1"), PATIENCE)
    before = stage.status()["status"]
    hostile = [
        frame(b"\x07c%d" % number, b"\x07<script>alert(%d)</script>" % number, 65535, tlv(5, b"<b>%d" % number))
        for number in range(300)
    ]
    for _ in range(10):
        send(stage.lab, hostile)
    seen = stage.wait_until("several", lambda seen: len(seen["heard"]["ports"]) > 1, PATIENCE)
    assert seen["status"] == before
    assert len(seen["heard"]["ports"]) <= 8
    for url in ("/", "/history", "/addresses"):
        status, page = look(stage, url)
        assert status == 200
        assert "<script>alert" not in page
        assert "<i>1" not in page
        assert "<b>" not in page
    assert "&lt;i&gt;1" in look(stage, "/history")[1]
    bound(stage)
