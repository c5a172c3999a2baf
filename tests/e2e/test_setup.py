"""From a blank device to a proven 911 address with nothing but the page; settings that are changed, undone and kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.lab.process import die_with_parent
from agent.lab.stage import OFFICE, PASSWORD, Stage
from agent.lab.topology import PLATFORM
from tests.e2e.conftest import Open
from tests.e2e.house import PATIENCE, bound, confirm, move_in, shows
from tests.e2e.phone import HEARD, Handset
from tests.e2e.reader import Reader, reader
from tests.page.window import ARTIFACTS

pytestmark = [pytest.mark.netns, pytest.mark.sip, pytest.mark.browser]

LIMIT = 180.0
"""Seconds of browser time from the blank device to the proven address."""


def unpack(open_stage: Open) -> Stage:
    """Start a device as it comes out of the box, plugged in at the office; there is a token on a slip of paper."""
    stage = open_stage()
    stage.start_platform()
    stage.write_blank_config()
    stage.lab.plug("office")
    stage.start_voice()
    stage.start_agent()
    return stage


def set_up(person: Reader, token: str) -> None:
    """Do what the page says, with a wrong token, a wrong password and an incomplete address on the way."""
    person.open()
    person.sees("This phone is not set up yet.")
    person.follow("Set this phone up")
    person.follow("Go on")
    person.enter(Platform_URL=f"http://{PLATFORM}:8080", Token="not-a-token")
    person.press("Save and test")
    person.sees("The platform refused the token")
    person.enter(Token=token)
    person.press("Save and test")
    person.sees("Tested: it works")
    person.photograph("platform")
    person.follow("Continue")
    person.enter(Registrar=PLATFORM, SIP_user_name="kiosk", SIP_domain="dialstack.ai", SIP_password="wrong")
    person.press("Save and test")
    person.sees("The registrar refused the user name or the password")
    person.photograph("wrong-password")
    person.enter(SIP_password=PASSWORD)
    person.press("Save and test")
    person.sees("Tested: it works")
    person.follow("Continue")
    person.enter(Name_of_this_phone="Lobby kiosk")
    person.page.get_by_label("It stays here").check()
    person.photograph("mobility")
    person.press("Save and continue")
    person.enter(Number="123", Street="Main St", City="San Francisco", State="California", ZIP_code="94105")
    person.press("This phone is here")
    person.sees("Enter the suite, floor or room")
    person.photograph("address-error")
    person.page.get_by_label("Suite, floor or room").fill("Suite 400")
    person.press("This phone is here")
    person.sees(f"911 sends help to {OFFICE.one_line()}. Proven on this network.")


def test_a_new_reader_gets_from_a_blank_device_to_a_proven_address(
    open_stage: Open, record_property: Callable[[str, object], None]
) -> None:
    stage = unpack(open_stage)
    with reader(stage) as person:
        set_up(person, (stage.folder / "token").read_text())
        seconds = round(person.seconds, 1)
        person.photograph("proof")
        bound(stage)
        person.follow("Continue")
        person.follow("To the test call")
        person.press("Call 933 and record it")
        person.sees("The last test call")
        person.photograph("test-call")
        person.open("/setup")
        person.follow("Go on")
        person.sees("Staff's PIN")
        person.follow("Set or change PINs")
        staff = person.page.get_by_role("region", name="Staff's PIN")
        staff.get_by_label("New PIN").fill("731905")
        staff.get_by_label("The same again").fill("731905")
        staff.get_by_role("button", name="Set this PIN").click()
        person.open("/setup")
        person.follow("Go on")
        person.sees("911 from this phone")
        assert f"Help is sent to: {OFFICE.one_line()}" in person.reads()
        person.photograph("label")
        whole = round(person.seconds, 1)
    report = {"blank_to_proven_seconds": seconds, "with_test_call_pin_and_label_seconds": whole}
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "setup.json").write_text(json.dumps(report))
    record_property("setup", json.dumps(report))
    assert seconds < LIMIT
    said = (stage.folder / "state" / "settings.toml").read_text() + (stage.folder / "agent.log").read_text()
    assert PASSWORD not in said
    assert (stage.folder / "token").read_text() not in said


UNPACKED = """
mount -t tmpfs none /run && mount -t tmpfs none /var/lib || exit 1
{python} -m agent.voice --config /nonexistent.toml &
exec {python} -m agent --config /nonexistent.toml run
"""


def test_s1_without_any_file_both_programs_run_and_the_page_says_so(open_stage: Open) -> None:
    stage = open_stage()
    stage.lab.plug("office")
    script = UNPACKED.format(python=sys.executable)
    boxed = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]
    process = stage.lab.exec(
        "device", boxed, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    try:
        with reader(stage) as person:
            person.comes_up()
            person.sees("This phone is not set up yet.")
            person.sees("No SIP account is configured.")  # says the voice process: it runs, too
            person.follow("Set this phone up")
            person.page.get_by_role("link", name="Network").click()
            person.sees("Tested: it works")
            person.open("/settings/device")
            person.enter(Name_of_this_phone="Out of the box")
            person.press("Save")
            person.sees("Saved.")
    finally:
        process.kill()  # and with it everything in the box
        process.wait()


def test_the_set_up_works_without_javascript_and_goes_on_after_a_power_cut(open_stage: Open) -> None:
    stage = unpack(open_stage)
    with reader(stage, script=False) as person:
        person.open("/setup/platform")
        person.enter(Platform_URL=f"http://{PLATFORM}:8080", Token=(stage.folder / "token").read_text())
        person.press("Save and test")
        person.sees("Tested: it works")
        stage.stop_agent()
        stage.start_agent()
        person.open("/setup/line")
        person.enter(Registrar=PLATFORM, SIP_user_name="kiosk", SIP_domain="dialstack.ai", SIP_password=PASSWORD)
        person.press("Save and test")
        person.sees("Tested: it works")
        person.follow("Continue")
        person.page.get_by_label("It is carried about").check()
        person.press("Save and continue")
        person.enter(Number="500", Street="Elm St", City="San Francisco", State="CA", ZIP_code="94105")
        person.page.get_by_label("No floor or suite needed here").check()
        person.press("This phone is here")
        person.sees("Proven on this network.")
    assert stage.status()["mobility"] == "movable"


def test_a_phone_that_only_lacks_its_address_is_bound_by_an_answer_on_the_first_page(open_stage: Open) -> None:
    stage = open_stage()
    stage.start_platform()
    path = stage.write_config()
    path.write_text(path.read_text().partition("[address]")[0])
    stage.lab.plug("office")
    stage.start_voice()
    stage.start_agent()
    shows(stage, "unbound", "place_new")
    confirm(stage)
    bound(stage)


def test_a_setting_is_changed_undone_and_survives_a_restart_and_another_packaged_file(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage)
    with reader(stage) as person:
        person.open("/settings/device")
        person.enter(Name_of_this_phone="Reception")
        person.press("Save")
        person.sees("Saved.")
        assert stage.status()["device"] == "Reception"
        stage.stop_agent()
        path = stage.folder / "agent.toml"
        path.write_text(
            path.read_text().replace("Lobby kiosk", "Upgraded").replace("ping_interval = 2", "ping_interval = 3")
        )
        stage.start_agent()
        bound(stage)
        assert stage.status()["device"] == "Reception"
        person.open("/settings/device")
        person.sees("Back to the packaged value: Upgraded")
        person.photograph("settings-device")
        person.open("/settings")
        person.press("Undo the last change")
        person.sees("Taken back: Name of this phone.")
        assert stage.status()["device"] == "Upgraded"
        person.open("/settings/line")
        person.enter(Port="70000", Registrar="sip:host")
        person.press("Save")
        person.sees("It must be a whole number from 1 to 65535.")
        person.sees("It must be a host name or an IP address, without scheme or port.")
        person.photograph("settings-errors")
    bound(stage)  # a refused change disturbs nothing


def test_s4_new_settings_of_the_line_wait_for_the_end_of_a_911_call(open_stage: Open) -> None:
    stage = open_stage()
    move_in(stage, sip="callback_window = 2")
    voice = stage.process("voice").pid
    state = stage.folder / "state"
    with reader(stage) as person:
        with Handset(stage, "911") as phone:
            phone.wait("confirmed")
            stage.wait_until("the interlock", lambda seen: bool(seen["interlock"]), PATIENCE)
            person.open("/settings/line")
            person.enter(SIP_user_name="nobody", SIP_password="another-password")
            person.press("Save")
            person.sees("the new settings are saved and wait until it is over")
            person.photograph("settings-waiting")
            assert sorted(path.name for path in state.rglob("*.next")) == ["settings.toml.next", "sip-password.next"]
            assert not (state / "settings.toml").exists()
            phone.sound(phone.packets() + HEARD)  # the call goes on
        shows(stage, "fault", "wrong_password")
    assert "nobody" in (state / "settings.toml").read_text()
    assert list(state.rglob("*.next")) == []
    assert stage.process("voice").pid == voice
