"""Settings, set-up and check-up over HTTP: what is shown, what is refused, what is never said (S10)."""

from __future__ import annotations

import asyncio
import html
import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from agent.config import overlay as config_overlay
from agent.config import vault
from agent.config.schema import SCHEMA
from agent.control import Step
from agent.model import StatusKind
from agent.page.views.settings_words import groups
from agent.page.views.setup_steps import Progress, progress
from tests.page.client import Client, Scenario, post, text_of
from tests.page.fake_control import NOON, OFFICE, FakeControl, overview
from tests.page.serving import make_server
from tests.page.workshop import make_workshop

SECRET = "hunter2hunter2"
STRANGE = """
notify_email.to = ["a@example.net"]
sip.codecs = []
test_call.keep = {a = 1}
page = "x"
paths.state = "{state}"
"""
SHIPPED = (Path(__file__).parents[2] / "config" / "agent.toml").read_text()
EVIL = "<script>alert(1)</script>"


def play(
    folder: Path, scenario: Scenario, more: Mapping[str, object] | None = None, packaged: str | None = None
) -> None:
    """Run a scenario on a device whose port, name and SIP password were set on the page, and `more` with them."""
    state = folder / "state"
    changes = {"sip.port": 5070, "device.name": "lobby", "device.mobility": "movable", **(more or {})}
    config_overlay.write(state, config_overlay.Overlay().with_values(changes, "local screen", NOON))
    vault.write_secret(state, "sip-password", SECRET)

    async def inside() -> None:
        control = FakeControl()
        server = make_server(control, folder, workshop=make_workshop(folder, packaged))
        await server.start()
        try:
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", cookie_jar=jar) as client:
                await scenario(control, client)
        finally:
            await server.stop()

    asyncio.run(inside())


def version_in(page: str) -> str:
    """Return the version that a settings form carries."""
    found = re.search(r'name="version" value="([^"]*)"', page)
    assert found is not None
    return found.group(1)


async def save(client: Client, group: str, **values: str) -> tuple[int, str]:
    """Change fields of a group as the browser sends them: with everything that is shown beside them."""
    page = await text_of(client, f"/settings/{group}")
    given = {key.replace("__", "."): value for key, value in values.items()}
    answer = await post(client, f"/settings/{group}", page, version=version_in(page), **given)
    return answer[0], html.unescape(answer[2])


def test_every_section_of_the_configuration_has_its_page(tmp_path: Path) -> None:
    shown = {section for group in groups() for section in group.sections}
    assert shown == set(SCHEMA) - {"address"}

    async def scenario(_: FakeControl, client: Client) -> None:
        for group in groups():
            page = await text_of(client, f"/settings/{group.name}")
            for section in group.sections:
                for key in SCHEMA[section][1]:
                    assert f'name="{section}.{key}"' in page

    play(tmp_path, scenario)


@pytest.mark.parametrize("text", [SHIPPED, STRANGE])
def test_whatever_the_packaged_file_holds_every_group_can_be_opened_and_saved(tmp_path: Path, text: str) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        for group in groups():
            async with client.get(f"/settings/{group.name}") as answer:
                assert answer.status == 200, group.name
        assert (await save(client, "notices", notify_email__to="desk@example.net", notify__tests="yes"))[0] == 303
        assert "desk@example.net" in await text_of(client, "/settings/notices")

    packaged = text.replace("/var/lib/dialstack-agent", "{state}").replace("{state}", str(tmp_path / "state"))
    play(tmp_path, scenario, packaged=packaged)


def test_a_setting_is_saved_with_who_and_when_and_goes_back(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        assert (await save(client, "device", device__name="Reception"))[0] == 303
        page = await text_of(client, "/settings/device")
        assert 'value="Reception"' in page
        assert "by local screen," in page
        assert "Back to the packaged value: this phone" in page
        answer = await post(client, "/settings/reset", page, reset="device.name")
        assert answer[:2] == (303, "/settings/device")
        assert 'value="this phone"' in await text_of(client, "/settings/device")

    play(tmp_path, scenario)


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        status, page = await save(client, "line", sip__port="70000", sip__registrar="a b", sip__username="fine")
        assert status == 422
        assert "It must be a whole number from 1 to 65535." in page
        assert 'value="70000"' in page
        assert 'value="fine"' in page
        assert 'value="demo"' in await text_of(client, "/settings/line")

    play(tmp_path, scenario)


def test_two_technicians_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """The second is told; what they did not touch is shown as the first one left it, and what they typed stays."""

    async def scenario(_: FakeControl, client: Client) -> None:
        mine = await text_of(client, "/settings/line")
        old = version_in(mine)
        seen = {"sip.port": "5070", "sip.username": "demo", "sip.expires": "120"}
        assert (await save(client, "line", sip__port="5080", sip__expires="300"))[0] == 303
        answer = await post(client, "/settings/line", mine, **{**seen, "sip.username": "mine"})
        page = html.unescape(answer[2])
        assert answer[0] == 409
        assert "The settings were changed elsewhere meanwhile." in page
        assert "Changed meanwhile: Port, Registration time in seconds." in page
        assert 'name="sip.port" value="5080"' in page
        assert 'name="sip.username" value="mine"' in page
        assert version_in(page) != old
        answer = await post(client, "/settings/line", page, **{**seen, "sip.port": "5080", "sip.username": "mine"})
        assert answer[0] == 303
        page = await text_of(client, "/settings/line")
        assert 'name="sip.port" value="5080"' in page
        assert 'name="sip.username" value="mine"' in page

    play(tmp_path, scenario)


@pytest.mark.parametrize("path", ["/settings/undo", "/settings/reset", "/setup/line"])
def test_nobody_takes_back_what_they_have_not_seen(tmp_path: Path, path: str) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        page = await text_of(client, "/settings")
        assert (await save(client, "device", device__name="Reception"))[0] == 303
        answer = await post(client, path, page, reset="device.name", **{"sip.port": "1"})
        assert answer[:2] == ((409, "") if path == "/setup/line" else (303, "/settings"))
        shown = answer[2] if answer[0] == 409 else await text_of(client, "/settings")
        assert "changed elsewhere meanwhile" in shown
        assert 'value="Reception"' in await text_of(client, "/settings/device")

    play(tmp_path, scenario)


def test_a_switch_that_was_turned_off_stays_off_beside_a_mistake_and_secrets_are_asked_for_again(
    tmp_path: Path,
) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        status, page = await save(client, "notices", notify_email__port="0", notify_email__password_file="typed-once")
        assert status == 422
        switch = re.search(r'<input type="checkbox" id="notify-tests"[^>]*>', page)
        assert switch is not None
        assert "checked" not in switch.group(0)
        assert "Enter secrets once more" in page
        assert "typed-once" not in page

    play(tmp_path, scenario)


def test_s10_a_changed_secret_is_among_the_last_changes_and_can_be_taken_back(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        assert (await save(client, "line", sip__password_file="another-secret"))[0] == 303
        page = html.unescape(await text_of(client, "/settings"))
        assert "SIP password" in page
        assert "This takes back: SIP password." in page
        assert "is kept for one hour" in page
        assert (await post(client, "/settings/undo", page))[0] == 303
        page = await text_of(client, "/settings")
        assert "Taken back: SIP password." in page
        assert "is kept for one hour" not in page
        assert SECRET not in page
        assert "another-secret" not in page
        assert vault.secret_file(tmp_path / "state", "sip-password").read_text() == SECRET

    play(tmp_path, scenario)


@pytest.mark.parametrize("path", ["/settings", "/settings/line", "/settings/platform", "/setup/line", "/setup/label"])
def test_s10_a_secret_is_set_and_never_said(tmp_path: Path, path: str) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        assert SECRET not in await text_of(client, path)
        status, page = await save(client, "line", sip__password_file="another-secret", sip__port="0")
        assert status == 422
        assert "another-secret" not in page

    play(tmp_path, scenario)


def test_what_another_version_set_is_kept_and_said_and_can_be_removed(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        page = html.unescape(await text_of(client, "/settings"))
        assert "this one does not know them. They are kept and do nothing:" in page
        assert "The settings are not complete" not in page
        assert (await save(client, "device", device__name="Reception"))[0] == 303
        kept = config_overlay.read(tmp_path / "state")[0].values
        assert (kept["sip.gone"], kept["lights.color"]) == (1, "red")
        for key in ("sip.gone", "lights.color"):
            page = await text_of(client, "/settings")
            assert f"<code>{key}</code>" in page
            assert (await post(client, "/settings/reset", page, reset=key))[:2] == (303, "/settings")
        assert "this one does not know them" not in await text_of(client, "/settings")
        assert (await post(client, "/settings/reset", page, reset="lights.other"))[0] == 303, "an old page"
        page = await text_of(client, "/settings")
        assert (await post(client, "/settings/reset", page, reset="lights.other"))[0] == 404

    play(tmp_path, scenario, {"sip.gone": 1, "lights.color": "red"})


def test_a_mistake_beside_the_point_is_no_reason_to_set_the_phone_up(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        page = html.unescape(await text_of(client, "/settings"))
        assert "The settings have mistakes" in page
        assert "The address and the phone line are not touched by them." in page
        assert "Mail server: must be a host name or an IP address" in page

    play(tmp_path, scenario, {"notify_email.host": "no host"})


def test_html_in_every_field_is_text(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        for group in groups():
            given = {f"{section}__{key}": EVIL for section in group.sections for key in SCHEMA[section][1]}
            page = await text_of(client, f"/settings/{group.name}")
            fields = {key.replace("__", "."): value for key, value in given.items()}
            answer = await post(client, f"/settings/{group.name}", page, version=version_in(page), **fields)
            assert EVIL not in answer[2]
        for path in ("/settings", "/setup", "/setup/line", "/setup/mobility", "/setup/label"):
            assert EVIL not in await text_of(client, path)

    play(tmp_path, scenario)


def test_a_file_of_the_device_or_a_program_cannot_be_named_by_an_extra_field(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        for key in ("sip.socket", "token.command", "notify_command.run", "paths.state"):
            group = next(one for one in groups() if key.partition(".")[0] in one.sections)
            await save(client, group.name, **{key.replace(".", "__"): "/bin/sh"})
            assert "/bin/sh" not in await text_of(client, f"/settings/{group.name}")

    play(tmp_path, scenario)


def test_the_set_up_says_where_it_is_and_what_failed(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        page = await text_of(client, "/setup/line")
        answer = await post(client, "/setup/line", page, **{"sip.username": "other"})
        assert answer[:2] == (303, "/setup/line")
        page = html.unescape(await text_of(client, "/setup/line"))
        assert "api.example.com cannot be looked up." in page
        assert "Tested: this does not work yet" in page
        assert (await client.get("/setup/nowhere")).status == 404

    play(tmp_path, scenario)


def test_what_a_step_of_the_set_up_tested_is_not_shown_as_a_check_up_of_everything(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        await text_of(client, "/setup/network")
        assert "Tested: it works" in await text_of(client, "/setup/network")
        page = await text_of(client, "/diagnostics")
        assert "Test everything" in page
        assert "Everything is fine." not in page
        await post(client, "/diagnostics", page)
        assert "1 check failed." in await text_of(client, "/diagnostics")
        assert "Platform" not in await text_of(client, "/setup/network"), "and what it found is not the step's"

    play(tmp_path, scenario)


def test_a_network_that_was_tested_once_is_not_done_when_the_cable_is_out(tmp_path: Path) -> None:
    async def scenario(control: FakeControl, client: Client) -> None:
        control.show(overview(StatusKind.CONNECTING))
        await text_of(client, "/setup/network")
        await text_of(client, "/setup/network")
        assert '<li class="done"><a href="/setup/network"' in await text_of(client, "/setup")
        control.show(replace(overview(StatusKind.OFFLINE), steps=(Step("network", "Network found", "running"),)))
        assert '<li class="open"><a href="/setup/network"' in await text_of(client, "/setup")

    play(tmp_path, scenario)


def test_an_address_that_was_entered_stays_entered_while_the_cable_is_out(tmp_path: Path) -> None:
    layers = make_workshop(tmp_path).configuration.shown()
    offline = overview(StatusKind.OFFLINE)
    for address, found in ((None, Progress.OPEN), (OFFICE, Progress.DONE)):
        entered = replace(layers, settings=replace(layers.settings, address=address))
        assert progress(entered, offline, {}, pin=False, call=False)["address"] is found


def test_the_bundle_is_a_file_to_download(tmp_path: Path) -> None:
    async def scenario(_: FakeControl, client: Client) -> None:
        page = await text_of(client, "/diagnostics")
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token is not None
        answer = await client.post("/diagnostics/bundle", data={"csrf": token.group(1)})
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="dialstack-agent-2026')
        with tarfile.open(fileobj=io.BytesIO(await answer.read())) as files:
            assert [Path(name).name for name in files.getnames()] == ["report.txt"]

    play(tmp_path, scenario)
