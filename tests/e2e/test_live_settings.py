"""The real daemon takes settings up at once: the light stays on, nothing registers anew, and a 911 call comes first."""

from __future__ import annotations

import secrets

import pytest

from agent.lab.stage import Stage
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, eventually, lights, move_in
from tests.e2e.phone import HEARD, Handset, dial
from tests.e2e.receivers import Receivers

pytestmark = [pytest.mark.netns, pytest.mark.sip]


def save(stage: Stage, group: str, **fields: str) -> str:
    """Change fields of a group on the page; `notify__tests="yes"` keeps a switch on. Return the page that follows."""
    named = {key.replace("__", "."): value for key, value in fields.items()}
    status, page = stage.visitor().submit(f"/settings/{group}", f"/settings/{group}", named)
    assert status == 303, page
    return page


def listens(stage: Stage, port: int) -> bool:
    """Tell whether the page is open on a port of the device's own screen."""
    shown = stage.lab.run("device", ["ss", "-Hltn", f"sport = :{port}"])
    return f"127.0.0.1:{port}" in shown


def test_side_settings_hold_at_once_and_the_light_never_goes_off(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, sip="callback_window = 1")
        seen, mark = stage.logs["agent"].mark(), stage.platform_mark()
        voice, agent = stage.process("voice").pid, stage.process("agent").pid
        page = save(
            stage, "notices", notify__tests="yes", notify__callback_number="+14155550100",
            notify_webhook__url=told.hook.url, notify_webhook__secret_file=secrets.token_hex(8),
        )  # fmt: skip
        assert "Start the agent again" not in page
        save(stage, "tests", test_call__hours="22:00-06:00")
        page = save(stage, "page", page__port="8977", page__enabled="yes")
        assert "this page is on port 8977 now" in page
        assert (listens(stage, 8977), listens(stage, 8911)) == (True, True)
        stage.control("POST", "legs", {"longest_text": 1.0})
        assert dial(stage, "933")[0] == 0
        assert told.posted("dialed", number="933")["callback_number"] == "+14155550100"
        assert stage.platform_log("register", mark) == [], "nothing was registered anew"
        assert stage.platform_log("write", mark) == []
        assert [line["kind"] for line in lights(stage, seen)] == [], "the light never changed"
        assert (stage.process("voice").pid, stage.process("agent").pid) == (voice, agent)
        bound(stage)


def test_s4_a_911_call_and_its_window_come_before_new_settings_of_notices_and_page(open_stage: Open) -> None:
    stage = open_stage()
    with Receivers(stage) as told:
        move_in(stage, more=told.config(), sip="callback_window = 2")
        with Handset(stage, "911") as phone:
            told.posted("dialed")
            phone.wait("confirmed")
            save(stage, "notices", notify__tests="yes", notify_webhook__url="http://203.0.113.250/nowhere")
            page = save(stage, "page", page__port="8977", page__enabled="yes")
            assert "the new settings are saved and wait until it is over" in page
            assert not listens(stage, 8977)
            phone.sound(HEARD)
        told.posted("ended")  # to those who were told of its beginning
        stage.wait_until("the end of the interlock", lambda seen: not seen["interlock"], PATIENCE)
        eventually("the new port", lambda: listens(stage, 8977))
        assert not (stage.folder / "state" / "settings.toml.next").exists()
