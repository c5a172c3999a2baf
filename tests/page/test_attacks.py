"""Attacks on every route there is: strangers, other sites, malformed and oversized bodies, crowds that only connect."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from agent.page.access import door, link_port
from agent.page.access.link_port import MAX_FROM_ONE
from agent.page.routes import Role
from agent.storage.audit import AuditRow
from tests.page.client import next_event, post, text_of, token_in
from tests.page.fake_control import NOON, FakeControl, notice, overview
from tests.page.link_world import (
    LAPTOP,
    PHONE,
    STAFF_PIN,
    TECHNICIAN_PIN,
    World,
    play_link,
    sign_in,
)
from tests.page.test_security import EVIL

if TYPE_CHECKING:
    from agent.page.server import PageServer

FORM = "application/x-www-form-urlencoded"
VALUES = {"id": "emerg_1", "action": "forget", "role": "staff", "name": "page.css"}
"""What stands in for the variable parts of paths."""


def changes(server: PageServer) -> list[tuple[str, str, Role]]:
    """Return every route that changes something, as a request to it."""
    found = []
    for method, path, role in server.gate.routes.all():
        if method not in {"GET", "HEAD"}:
            found.append((method, re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "1"), path), role))
    assert len(found) > 10
    return found


def fingerprint(control: FakeControl, world: World) -> tuple[object, ...]:
    """Return all that an attack could have changed."""
    pins = world.access.pins
    return (tuple(control.confirmed), tuple(control.saved), pins.has(Role.STAFF), pins.has(Role.TECHNICIAN))


# ------------------------------------------------------------------ strangers and other sites


def test_s9_nothing_can_be_changed_from_the_link_without_a_pin_nor_by_staff_what_takes_a_technician(
    tmp_path: Path,
) -> None:
    async def scenario(world: World) -> None:
        before = fingerprint(world.control, world)
        nobody, staff = await world.browser(LAPTOP), await world.browser("127.0.0.11")
        await sign_in(staff, STAFF_PIN)
        token = token_in(await text_of(staff, "/addresses"))
        for method, path, role in changes(world.server):
            headers = {"X-CSRF-Token": token}
            if role is not Role.ANYONE:
                async with nobody.request(method, path, json={}, headers=headers) as response:
                    assert response.status == 401, path
            if role is Role.TECHNICIAN:
                async with staff.request(method, path, json={}, headers=headers) as response:
                    assert response.status == 403, path
                    assert "Only a technician may do this." in await response.text()
        assert fingerprint(world.control, world) == before

    play_link(tmp_path, scenario)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://{PHONE}"},
        {"Origin": f"https://{PHONE}"},
        {"Origin": f"https://{PHONE}:443"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_s9_no_other_site_can_make_a_signed_in_browser_change_anything(headers: dict[str, str], tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        await sign_in(browser, TECHNICIAN_PIN)
        token = token_in(await text_of(browser, "/addresses"))
        before = fingerprint(world.control, world)
        for method, path, _ in changes(world.server):
            sent = {**headers, "X-CSRF-Token": token}
            async with browser.request(method, path, data={"csrf": token}, headers=sent) as response:
                assert response.status == 403, path
                assert "Another web site tried to use this page." in await response.text()
        assert fingerprint(world.control, world) == before

    play_link(tmp_path, scenario)


def test_s9_no_form_works_without_this_browsers_token(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        await sign_in(browser, TECHNICIAN_PIN)
        before = fingerprint(world.control, world)
        for method, path, _ in changes(world.server):
            as_program = path.startswith("/api/")
            body = {"json": {}} if as_program else {"data": {"csrf": "A" * 43}}
            async with browser.request(method, path, **body) as response:  # type: ignore[arg-type]
                assert response.status == 403, path
                assert "This form does not come from this page" in await response.text()
        assert fingerprint(world.control, world) == before

    play_link(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"Host": "evil.example"}, 421),
        ("GET", "/", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 403),
        ("POST", "/login", {"Content-Type": FORM}, 403),
        ("POST", "/language", {"Content-Type": "text/plain"}, 415),
        ("GET", "/static/nothing", {}, 404),
        ("PUT", "/", {}, 401),
    ],
)
def test_s9_no_answer_to_a_stranger_tells_of_the_phone_or_of_an_emergency_call(
    method: str, path: str, headers: dict[str, str], status: int, tmp_path: Path
) -> None:
    """A site that rebinds its name can read our answer to it; a neighbor without a PIN every page."""

    async def scenario(world: World) -> None:
        world.control.show(replace(overview(), alerts=(notice(),)))
        strangers = [await world.browser()]
        if status in {421, 403} and method == "GET":
            strangers.append(await world.screen())
        for stranger in strangers:
            async with stranger.request(method, path, headers=headers) as response:
                assert response.status == status
                said = await response.text()
            for private in ("Main St", "front desk", "911 was dialed", "Ready", overview().version):
                assert private not in said, private

    play_link(tmp_path, scenario)


# ------------------------------------------------------------------ bodies

BODIES = (
    (FORM, b"\xff\xfe=1"), (FORM, b"csrf=%ff"), (FORM, b"&".join(b"a=1" for _ in range(99))), (FORM, b""),
    ("text/plain", b"csrf=x"), ("multipart/form-data; boundary=x", b"--x\r\n\r\n"), ("application/json", b"{"),
    ("application/json", b"[" * 9000), ("application/json", b'"\xff"'), ("application/json", b"null"),
    ("application/json", b'{"pin": 5, "address_id": {}}'), ("", b"csrf=x"), (FORM, b"x" * 20_000),
    ("application/json", b'{"pin": "' + b"9" * 20_000 + b'"}'),
)  # fmt: skip


def test_malformed_and_oversized_bodies_get_a_sentence_on_every_route_and_change_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        await sign_in(browser, TECHNICIAN_PIN)
        token = token_in(await text_of(browser, "/addresses"))
        before = fingerprint(world.control, world)
        for method, path, _ in changes(world.server):
            for kind, body in BODIES:
                if method == "DELETE" and kind == "application/json":
                    continue  # what is deleted stands in the path
                headers = {"X-CSRF-Token": token, **({"Content-Type": kind} if kind else {})}
                async with browser.request(method, path, data=body, headers=headers) as response:
                    where = (path, kind, body[:20], response.status)
                    # some programs' requests have no body that is looked at
                    ignored = kind == "application/json" and response.status in {200, 202}
                    assert ignored or 400 <= response.status < 500, where
                    said = await response.text()
                    assert ignored or '"happened":"' in said or "<h1" in said, where
        assert fingerprint(world.control, world) == before

    play_link(tmp_path, scenario)


def test_an_endless_body_is_cut_off(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(100_000):
                yield b"x" * 1000

        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            async with screen.post("/login", data=endless(), headers={"Content-Type": FORM}) as response:
                assert response.status == 413

    play_link(tmp_path, scenario)


# ------------------------------------------------------------------ texts


def test_html_in_the_audit_and_around_the_pin_is_escaped(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        world.access.audit.add(AuditRow(NOON, EVIL, EVIL, EVIL, done=False, detail=EVIL))
        world.access.pins.problem = EVIL
        browser = await world.browser()
        screen = await world.screen()
        pages = [await text_of(screen, "/access")]
        world.access.pins.problem = ""
        await sign_in(browser, TECHNICIAN_PIN)
        pages.append(await text_of(browser, "/audit"))
        for page in pages:
            assert "&lt;script&gt;" in page
            assert "<script>" not in page
            assert "<img" not in page
        status, _, said = await post(browser, "/login", await text_of(browser, "/login"), pin=EVIL, next=EVIL)
        assert status == 403
        assert "alert(" not in said, "what was typed is not shown again"

    play_link(tmp_path, scenario)


@pytest.mark.parametrize(
    "where",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/x\r\nSet-Cookie: owned=1", "/x\nX: y",
     "javascript:1", "/..//evil", "/?x", "/x?y#z", "/x?//evil", "/x?y\\z", "/x?a b", "/x?<", "//x?y",
     "/%0d%0aX: y", ""],
)  # fmt: skip
def test_signing_in_leads_nowhere_else_and_adds_no_header(where: str, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        async with browser.get("/login", params={"next": where}) as response:
            page = await response.text()
        form = {"csrf": token_in(page), "pin": STAFF_PIN, "next": where}
        async with browser.post("/login", data=form, allow_redirects=False) as response:
            assert response.status == 303
            assert response.headers["Location"] == "/"
            assert "owned" not in str(response.headers)

    play_link(tmp_path, scenario)


def test_raw_requests_that_smuggle_or_split_are_refused(tmp_path: Path) -> None:
    attacks = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rInjected: b\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\n\r\n",
    )

    async def scenario(world: World) -> None:
        for attack in attacks:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
            writer.write(attack)
            writer.write_eof()
            answer = await reader.read(65536)
            writer.close()
            assert answer == b"" or re.match(rb"HTTP/1\.[01] 4\d\d ", answer), attack[:60]
            assert b"Main St" not in answer
        await text_of(await world.screen(), "/")

    play_link(tmp_path, scenario)


# ------------------------------------------------------------------ secrets


def test_s10_pins_and_sessions_appear_in_no_answer_log_or_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    heard: list[str] = []
    hidden = {STAFF_PIN, TECHNICIAN_PIN, "730951", "999998"}

    async def scenario(world: World) -> None:
        browser, screen = await world.browser(), await world.screen()
        for who in (browser, screen):
            heard.extend([(await sign_in(who, pin))[1] for pin in ("999998", TECHNICIAN_PIN)])
            page = await text_of(who, "/access")
            for first, second in (("730951", "730952"), ("123456", "123456"), (TECHNICIAN_PIN, TECHNICIAN_PIN)):
                heard.append((await post(who, "/access/pin", page, role="staff", pin=first, again=second))[2])
            heard.extend([page, await text_of(who, "/audit"), await text_of(who, "/api/v1/audit")])
            hidden.update(one.value for one in who.cookie_jar if "session" in one.key)
            async with who.get("/events") as stream:
                heard.append((await next_event(stream))[1])

    play_link(tmp_path, scenario)
    assert len(hidden) == 6
    told = {(word, text[:40]) for text in [*heard, caplog.text] for word in hidden if word in text}
    assert told == set()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"pins.json", "page-key.pem"}
    assert {(path.name, word) for path in files for word in hidden if word.encode() in path.read_bytes()} == set()


# ------------------------------------------------------------------ crowds


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process hold both ends of a crowd."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def crowd(stack: contextlib.ExitStack, port: int, count: int) -> None:
    """Connect from many addresses of the LAN, say nothing and stay until the end."""
    for number in range(count):
        one = stack.enter_context(socket.socket())
        one.setblocking(False)  # noqa: FBT003 - the name says what
        one.bind((f"127.0.0.{20 + number % 200}", 0))
        await asyncio.get_running_loop().sock_connect(one, (PHONE, port))


@pytest.mark.usefixtures("many_files")
def test_500_idle_connections_from_the_link_do_not_disturb_the_screen_the_socket_or_a_stream(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()
        link = world.server.link
        assert link is not None
        with contextlib.ExitStack() as stack:
            async with screen.get("/events") as stream:
                await next_event(stream)
                await crowd(stack, int(world.link_url().rpartition(":")[2]), 500)
                page = await text_of(screen, "/addresses")
                assert (await post(screen, "/confirm", page, address_id="emerg_1"))[0] == 303
                connector = aiohttp.UnixConnector(str(tmp_path / "agent.sock"))
                async with aiohttp.ClientSession("http://localhost", connector=connector) as cli:
                    await text_of(cli, "/api/v1/status")
                world.control.ask_place()
                while "Is this phone still at" not in (await next_event(stream))[1]:
                    pass
                assert 0 < link._crowd.inside() <= door.MAX_ON_LINK

    play_link(tmp_path, scenario)


def test_one_neighbor_cannot_take_all_connections_of_the_link(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        port = int(world.link_url().rpartition(":")[2])
        greedy = [await asyncio.open_connection(PHONE, port, local_addr=(LAPTOP, 0)) for _ in range(MAX_FROM_ONE + 5)]
        for reader, _ in greedy[MAX_FROM_ONE:]:
            assert await reader.read() == b"", "closed at once"
        await text_of(await world.browser("127.0.0.11"), "/login")
        for _, writer in greedy:
            writer.close()

    play_link(tmp_path, scenario)


def test_whoever_never_finishes_its_handshake_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_port, "HANDSHAKE", 0.05)

    async def scenario(world: World) -> None:
        port = int(world.link_url().rpartition(":")[2])
        reader, writer = await asyncio.open_connection(PHONE, port, local_addr=(LAPTOP, 0))
        assert await reader.read() == b""
        writer.close()

    play_link(tmp_path, scenario)


def test_a_head_that_drips_in_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "FIRST_REQUEST", 0.2)

    async def scenario(world: World) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.port)
        with contextlib.suppress(ConnectionError):
            for letter in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":
                writer.write(bytes([letter]))
                await writer.drain()
                await asyncio.sleep(0.02)
            assert await reader.read() == b""
        writer.close()

    play_link(tmp_path, scenario)
