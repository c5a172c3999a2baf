"""Signing in: roles, cookies, sessions that end, and PINs that are kept as hashes only."""

from __future__ import annotations

import asyncio
import html
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from agent.page.access.pins import PinRefused, Pins, weakness
from agent.page.access.sessions import IDLE, MAX_SESSIONS, OLDEST, Sessions
from agent.page.access.visitor import Channel
from agent.page.routes import Role
from tests.page.client import next_event, post, text_of, token_in
from tests.page.link_world import (
    LAPTOP,
    OTHER_LAPTOP,
    STAFF_PIN,
    TECHNICIAN_PIN,
    World,
    play_link,
    sign_in,
)

ROOT = Path(__file__).parents[2]


async def leads_to_pin(browser: aiohttp.ClientSession, path: str) -> bool:
    async with browser.get(path, allow_redirects=False) as response:
        return response.status == 303 and response.headers["Location"].startswith("/login?next=")


# ------------------------------------------------------------------ roles


def test_s9_from_the_link_nothing_is_told_or_done_before_the_pin(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        for path in ("/", "/addresses", "/history", "/nothing", "/access", "/audit"):
            assert await leads_to_pin(browser, path)
        page = await text_of(browser, "/login")
        assert "Main St" not in page
        assert "front desk" not in page
        async with browser.get("/events") as response:
            assert await response.read() == b"event: gone\ndata: \n\n", "and nothing else"
        async with browser.get("/api/v1/status") as response:
            assert response.status == 401
            assert (await response.json())["error"]["code"] == "sign_in"
        async with browser.post("/confirm", data={"csrf": token_in(page), "address_id": "emerg_1"}) as response:
            assert response.status == 401
        assert world.control.confirmed == []

    play_link(tmp_path, scenario)


def test_staff_confirm_and_technicians_delete(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        assert (await sign_in(browser, STAFF_PIN))[0] == 303
        page = await text_of(browser, "/addresses")
        assert (await post(browser, "/confirm", page, address_id="emerg_1"))[0] == 303
        assert world.control.confirmed[0][1] == f"staff at {LAPTOP}"
        status, _, said = await post(browser, "/addresses/forget", page, address_id="emerg_1")
        assert (status, "Only a technician may do this." in said) == (403, True)
        assert "emerg_1" in world.control.saved
        assert await leads_to_pin(browser, "/audit")
        assert (await sign_in(browser, TECHNICIAN_PIN))[0] == 303
        page = await text_of(browser, "/addresses")
        assert (await post(browser, "/addresses/forget", page, address_id="emerg_1"))[0] == 303
        assert "emerg_1" not in world.control.saved

    play_link(tmp_path, scenario)


def test_the_local_screen_needs_no_pin_to_confirm_and_the_technicians_to_delete(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()
        page = await text_of(screen, "/addresses")
        assert (await post(screen, "/confirm", page, address_id="emerg_1"))[0] == 303
        assert world.control.confirmed[0][1] == "local screen"
        assert (await post(screen, "/addresses/forget", page, address_id="emerg_1"))[0] == 403
        assert (await sign_in(screen, STAFF_PIN))[0] == 403, "the staff's PIN opens nothing more here"
        assert (await sign_in(screen, TECHNICIAN_PIN))[0] == 303
        page = await text_of(screen, "/addresses")
        assert (await post(screen, "/addresses/forget", page, address_id="emerg_1"))[0] == 303
        assert (await post(screen, "/logout", page))[0] == 303
        assert await leads_to_pin(screen, "/audit")

    play_link(tmp_path, scenario)


def test_whoever_gave_the_pin_is_led_to_where_they_wanted_to_go_with_what_they_chose(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()
        wanted = "/addresses/forget?address_id=emerg_1"
        async with screen.get(wanted) as response:
            assert response.url.path == "/login"
            page = html.unescape(await response.text())
        (following,) = re.findall('name="next" value="([^"]*)"', page)
        assert following == wanted
        status, where, _ = await post(screen, "/login", page, pin=TECHNICIAN_PIN, next=following)
        assert (status, where) == (303, wanted)
        assert "Forget this address?" in await text_of(screen, where)

    play_link(tmp_path, scenario)


def test_before_any_technicians_pin_the_local_screen_may_set_the_phone_up(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()
        page = await text_of(screen, "/access")
        form = {"role": "technician", "pin": TECHNICIAN_PIN, "again": TECHNICIAN_PIN}
        assert (await post(screen, "/access/pin", page, **form))[0] == 303
        assert await leads_to_pin(screen, "/audit"), "from now on it is asked for"

    play_link(tmp_path, scenario, pins=False)


def test_a_screen_that_nobody_else_reaches_may_be_a_technicians(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert "Who changed what" in await text_of(await world.screen(), "/audit")

    play_link(tmp_path, scenario, local_role="technician")


# ------------------------------------------------------------------ sessions


def test_the_cookie_is_for_this_host_over_tls_alone_and_new_with_every_sign_in(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        seen = []
        for _ in range(2):
            token = token_in(await text_of(browser, "/login"))
            async with browser.post(
                "/login", data={"csrf": token, "pin": STAFF_PIN}, allow_redirects=False
            ) as response:
                cookies = response.headers.getall("Set-Cookie")
            found = [re.fullmatch(r"__Host-dialstack_session=([\w-]{43}); (.*)", one) for one in cookies]
            mine = next(one for one in found if one)
            assert mine[2] == "Path=/; Secure; HttpOnly; SameSite=Strict"
            seen.append(mine[1])
            assert any(one.startswith("__Host-dialstack_csrf=") for one in cookies)
            assert token not in "".join(cookies), "the CSRF token changes too"
        assert seen[0] != seen[1]
        headers = {"Cookie": f"__Host-dialstack_session={seen[0]}"}
        other = await world.browser()
        async with other.get("/", headers=headers, allow_redirects=False) as response:
            assert response.status == 303, "the session before the second sign-in is over"

    play_link(tmp_path, scenario)


def test_s9_a_stolen_session_works_from_no_other_address_and_not_on_the_local_screen(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        await sign_in(browser, TECHNICIAN_PIN)
        stolen = next(one.value for one in browser.cookie_jar if one.key == "__Host-dialstack_session")
        thief, screen = await world.browser(OTHER_LAPTOP), await world.screen()
        for session, name in ((thief, "__Host-dialstack_session"), (screen, "dialstack_session")):
            async with session.get("/audit", headers={"Cookie": f"{name}={stolen}"}, allow_redirects=False) as response:
                assert response.status == 303
        assert "Who changed what" in await text_of(browser, "/audit")

    play_link(tmp_path, scenario)


def test_s9_a_stolen_session_ends_with_a_new_pin_and_so_do_open_streams(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        await sign_in(browser, STAFF_PIN)
        async with browser.get("/events") as stream:
            assert (await next_event(stream))[0] in {"", "parts"}
            await world.access.set_pin(Role.STAFF, "730951")
            world.control.ask_place()
            name, data = await next_event(stream)
            while name == "parts" and "Is this phone still" not in data:
                name, data = await next_event(stream)
            assert (name, data) == ("gone", "")
        assert await leads_to_pin(browser, "/")
        assert (await sign_in(browser, STAFF_PIN))[0] == 403
        assert (await sign_in(browser, "730951"))[0] == 303

    play_link(tmp_path, scenario)


def test_whoever_sets_a_pin_goes_on_with_a_new_session_and_everybody_else_is_out(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        technician, other = await world.browser(), await world.browser(OTHER_LAPTOP)
        for browser in (technician, other):
            await sign_in(browser, TECHNICIAN_PIN)
        before = [one.value for one in technician.cookie_jar if "session" in one.key]
        page = await text_of(technician, "/access")
        assert (await post(technician, "/access/pin", page, role="staff", pin="730951", again="730951"))[0] == 303
        assert "The new PIN counts from now on." in await text_of(technician, "/access")
        assert [one.value for one in technician.cookie_jar if "session" in one.key] != before
        assert await leads_to_pin(other, "/")

    play_link(tmp_path, scenario)


@pytest.mark.parametrize("role", [Role.STAFF, Role.TECHNICIAN])
def test_a_session_ends_by_silence_and_by_age(role: Role) -> None:
    sessions = Sessions()

    def find(now: float, *, touch: bool = True) -> bool:
        return sessions.find(opened, Channel.LINK, LAPTOP, now, touch=touch) is not None

    opened = sessions.open(role, Channel.LINK, LAPTOP, 0.0)
    assert find(IDLE[role], touch=False)
    assert not find(IDLE[role] + 1), "the live update of an open page does not keep it"
    opened, now = sessions.open(role, Channel.LINK, LAPTOP, 0.0), 0.0
    while find(now):
        now += IDLE[role]
    assert OLDEST[role] < now <= OLDEST[role] + IDLE[role]


def test_sessions_are_bounded_and_exist_as_hashes_only() -> None:
    sessions = Sessions()
    opened = [sessions.open(Role.STAFF, Channel.LINK, LAPTOP, float(number)) for number in range(MAX_SESSIONS + 1)]
    assert len(sessions.all(100.0)) == MAX_SESSIONS
    assert sessions.find(opened[0], Channel.LINK, LAPTOP, 100.0, touch=True) is None
    assert not {one.encode() for one in opened} & set(sessions._open)


# ------------------------------------------------------------------ PINs


@pytest.mark.parametrize(
    "pin",
    ["", "1234", "0000", "12345", "000000", "111111", "123456", "654321", "789012", "345678", "121212", "123123",
     "112233", "159753", "12a456",
     "\uff11\uff12\uff13\uff14\uff15\uff16", "402816402816402816", "445445", "909090", "4445444"],
)  # fmt: skip
def test_a_weak_pin_is_refused_with_a_reason(pin: str) -> None:
    assert weakness(pin).startswith(("A PIN ", "This PIN is among the first that somebody tries"))


@pytest.mark.parametrize("pin", [STAFF_PIN, TECHNICIAN_PIN, "730951", "2580147"])
def test_a_good_pin_is_accepted(pin: str) -> None:
    assert weakness(pin) == ""


def test_pins_are_kept_as_hashes_in_a_private_file_and_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"

    async def scenario() -> None:
        pins = Pins(path)
        await pins.set(Role.STAFF, STAFF_PIN)
        await pins.set(Role.TECHNICIAN, TECHNICIAN_PIN)
        with pytest.raises(PinRefused, match="Staff and technicians need different PINs"):
            await pins.set(Role.STAFF, TECHNICIAN_PIN)
        again = Pins(path)
        assert await again.check(STAFF_PIN) is Role.STAFF
        assert await again.check(TECHNICIAN_PIN) is Role.TECHNICIAN
        assert await again.check(STAFF_PIN, (Role.TECHNICIAN,)) is None
        assert await again.check("402817") is None
        assert await again.check("9" * 5000) is None

    asyncio.run(scenario())
    assert path.stat().st_mode & 0o777 == 0o600
    assert STAFF_PIN.encode() not in path.read_bytes()
    assert [one.name for one in tmp_path.iterdir()] == ["pins.json"]


def test_what_a_comparison_takes_is_given_back() -> None:
    script = (
        "import threading\nfrom pathlib import Path\nfrom agent.page.access.pins import hash_pin\n"
        "def rss():\n"
        "    return int(Path('/proc/self/statm').read_text().split()[1]) * 4\n"
        "def hashes():\n"
        "    for _ in range(3): hash_pin('402816', b'x' * 16)\n"
        "before, thread = rss(), threading.Thread(target=hashes)\n"
        "thread.start()\nthread.join()\nprint(rss() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert int(done.stdout) < 4096, "KiB; scrypt takes 16 MiB"


@pytest.mark.parametrize("content", [b"", b"{", b"{}x", b'{"staff": {"salt": "", "hash": ""}}', b'{"version": "x"}'])
def test_s9_a_damaged_file_opens_nothing_and_is_set_aside_by_a_new_pin(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    path.write_bytes(content)

    async def scenario() -> None:
        pins = Pins(path)
        assert "nobody can sign in" in pins.problem
        assert not pins.usable()
        assert pins.has(Role.TECHNICIAN), "the local screen does not become a technician's"
        assert await pins.check("") is None
        await pins.set(Role.STAFF, STAFF_PIN)
        assert pins.problem == ""
        assert await Pins(path).check(STAFF_PIN) is Role.STAFF

    asyncio.run(scenario())
    assert (tmp_path / "pins.json.damaged").read_bytes() == content
