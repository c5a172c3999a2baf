"""`dialstack-agent run` against a world that is broken: it says so, means it, and comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agent.lab.stage import PASSWORD, USER, Stage, secret
from tests.e2e.conftest import Open
from tests.e2e.house import (
    Line,
    Window,
    back_voice,
    bound,
    confirm,
    end_voice,
    kill,
    move_in,
    never_lit,
    shows,
    wall,
)

pytestmark = [pytest.mark.netns, pytest.mark.sip]

UNPROVEN = "If somebody dials 911 now, the call goes out, but it is not certain that the right location goes with it."
NO_LOCATION = "If somebody dials 911 now, the call goes out, but without a location."
NO_CALL = "911 cannot be called from this phone now; use another phone."


@contextmanager
def page_up(stage: Stage) -> Iterator[None]:
    """Keep Home open all the time and assert that every answer was a page with a sentence."""
    with Window(stage) as window:
        yield
    assert window.bad == []
    assert window.seen > 0


@contextmanager
def restarted(stage: Stage) -> Iterator[None]:
    """Start the agent in the middle of the trouble; the page must be up from its first moment."""
    stage.start_agent()
    with page_up(stage):
        yield


def says(overview: Line, sentence: str) -> None:
    """Assert the sentence of a status, word by word."""
    assert overview["status"]["sentence"] == sentence


def test_an_unreachable_platform_is_said_and_survived(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage, platform_more="timeout = 1")
    stage.stop_agent()
    with wall(stage, "tcp dport 8080"):
        stage.start_agent()
        with page_up(stage):
            says(shows(stage, "connecting", "timeout"), f"The platform did not answer in time. {UNPROVEN}")
            never_lit(stage)
    with page_up(stage):
        bound(stage)


def test_a_wrong_sip_password_is_said(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    secret(stage.folder / "sip-password", "wrong")
    kill(stage, "voice")
    with restarted(stage):
        overview = shows(stage, "fault", "wrong_password")
        says(
            overview,
            "The telephone line refused this phone's user name or password (401 Unauthorized). 911 is still attempted; "
            f"nobody can call this phone. {UNPROVEN}",
        )
        assert overview["phone"] == (
            "The SIP password is not accepted by the registrar. Emergency calls are still attempted."
        )
        never_lit(stage)
        secret(stage.folder / "sip-password", PASSWORD)
        kill(stage, "voice")
        bound(stage)


def test_an_expired_token_is_said_and_a_new_one_noticed(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    minted = stage.control("POST", "tokens", {"user": USER, "ttl_seconds": 0.001})
    secret(stage.folder / "token", minted["client_secret"])
    with restarted(stage):
        overview = shows(stage, "fault", "token_expired")
        says(overview, f"The token has expired. {UNPROVEN}")
        assert "it is noticed by itself" in overview["status"]["next_step"]
        never_lit(stage)
        stage.write_token()
        bound(stage)


def test_a_token_of_another_user_is_refused_and_never_used(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    stage.control("POST", "users", {"id": "user_other"})
    minted = stage.control("POST", "tokens", {"user": "user_other"})
    secret(stage.folder / "token", minted["client_secret"])
    mark = stage.platform_mark()
    with restarted(stage):
        overview = shows(stage, "fault", "token_other_user")
        says(overview, f"The token belongs to user_other, but this device is user_kiosk. {UNPROVEN}")
        never_lit(stage)
        assert stage.platform_log("write", mark) == []
        assert [entry for entry in stage.platform_log("present", mark) if entry["user"] == "user_other"] == []
        stage.write_token()
        bound(stage)


def test_s5_a_damaged_database_is_set_aside_and_staff_are_asked(open_stage: Open) -> None:
    stage = open_stage("movable")
    move_in(stage)
    stage.stop_agent()
    database = stage.folder / "state" / "agent.db"
    for more in ("-wal", "-shm"):
        database.with_name(database.name + more).unlink(missing_ok=True)
    damage = b"SQLite format 3\x00" + b"not a page" * 400
    database.write_bytes(damage)
    with restarted(stage):
        overview = shows(stage, "unbound", "place_new")
        says(overview, f"This phone is in a place that nobody has confirmed. {NO_LOCATION}")
        (notice,) = overview["notices"]
        assert notice.startswith("The database was damaged and has been set aside (set aside as agent.db.damaged-")
        assert notice.endswith("Places have to be confirmed again.")
        (aside,) = database.parent.glob("agent.db.damaged-*")
        assert aside.read_bytes() == damage
        never_lit(stage)
        confirm(stage)
        bound(stage)


def test_a_database_that_cannot_be_opened_is_not_called_a_wrong_configuration(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    state, kept = stage.folder / "state", stage.folder / "kept"
    state.rename(kept)
    state.write_text("a file where the folder should be")
    with restarted(stage):
        overview = shows(stage, "fault", "store_unusable")
        sentence = overview["status"]["sentence"]
        assert sentence.startswith(f"This phone cannot keep what it is told: {state}/agent.db: the database cannot be")
        assert sentence.endswith(f"confirmations would not survive a restart. {UNPROVEN}")
        never_lit(stage)
    stage.stop_agent()
    state.unlink()
    kept.rename(state)
    with restarted(stage):
        bound(stage)


def test_an_invalid_configuration_is_said(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    path = stage.write_config(platform_more='presentation = ["carrier pigeon"]')
    with restarted(stage):
        problem = f"{path}: platform.presentation: must be 'signalling' or 'sip'; is ['carrier pigeon']"
        says(shows(stage, "fault", "config_invalid"), f"The configuration is invalid: {problem}. {NO_LOCATION}")
        never_lit(stage)
        end_voice(stage)
        stage.wait_until("the worse news", lambda seen: NO_CALL in seen["status"]["sentence"])
    stage.stop_agent()
    stage.write_config(more="[notify_email]\nto = [desk@example.net]\n[test_call]\nhour = 8")
    back_voice(stage)
    with restarted(stage):  # S1: what is wrong in a side matter is said, and costs no address
        bound(stage)
        said = [text.partition(": ")[0] for text in stage.status()["notices"]]
        assert said == ["911 notices are not sent by e-mail as configured", "No test calls are made automatically"]


def test_a_captive_portal_is_named(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    for path in ("* /v1/*", "WS upgrade"):
        stage.control("POST", "faults", {"kind": "html", "status": 200, "path": path, "count": None})
    with restarted(stage):
        overview = shows(stage, "connecting", "captive_portal")
        says(
            overview,
            "This network shows a sign-in page instead of letting the phone reach the platform. "
            "911 calls may not get through this network either.",
        )
        assert overview["status"]["next_step"] == "Sign the device in to this network, or plug it into another one."
        never_lit(stage)
        stage.control("DELETE", "faults")
        bound(stage)


def test_a_dead_registrar_is_said(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    stage.stop_agent()
    stage.control("POST", "registrar", {"running": False})
    kill(stage, "voice")
    with restarted(stage):
        overview = shows(stage, "connecting", "registrar_unreachable")
        sentence = overview["status"]["sentence"]
        assert sentence.startswith("The telephone line does not answer (408 The registrar did not answer). ")
        assert sentence.endswith(f"911 is still attempted. {UNPROVEN}")
        never_lit(stage)
        stage.control("POST", "registrar", {"running": True})
        bound(stage)


def test_s2_a_registrar_that_dies_turns_the_light_off(open_stage: Open) -> None:
    stage = open_stage(transport="tcp")
    move_in(stage)
    mark = stage.logs["agent"].mark()
    with page_up(stage):
        stage.control("POST", "registrar", {"running": False})
        overview = shows(stage, "connecting", "registrar_unreachable", since=mark)
        assert overview["status"]["sentence"].startswith("The telephone line does not answer (")
        never_lit(stage, mark)
        stage.control("POST", "registrar", {"running": True})
        bound(stage)


def test_a_voice_process_that_stays_dead_is_said(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    mark = stage.logs["agent"].mark()
    with page_up(stage):
        end_voice(stage)
        overview = shows(stage, "fault", "voice_dead", since=mark)
        says(
            overview,
            "The telephone program does not run. This phone cannot place calls, 911 neither; use another phone.",
        )
        assert overview["phone"] == "The telephone program does not run."
        never_lit(stage, mark)
        back_voice(stage)
        bound(stage)
