"""Settings of the page are taken up at once: nobody is cut off, who may not stay goes, the screen is never shut out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from agent.page.access.announce import Announcer
from agent.page.access.probe import probe
from tests.page.client import text_of
from tests.page.link_world import LAPTOP, PHONE, POLLS, World, play_link, sign_in, trusting
from tests.page.link_world import STAFF_PIN as PIN

URL = "http://127.0.0.1:{}"


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that the server does by itself."""
    for _ in range(POLLS):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(what)


async def configure(world: World, **changes: object) -> None:
    await world.server.configure(replace(world.server._settings, **changes))  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def taken(host: str) -> AsyncIterator[int]:
    """Yield a port that another program holds."""
    with socket.create_server((host, 0)) as other:
        yield other.getsockname()[1]


def free(host: str = "127.0.0.1") -> int:
    """Return a port that nobody holds."""
    with socket.create_server((host, 0)) as trial:
        return int(trial.getsockname()[1])


async def answers(port: int | None) -> bool:
    """Tell whether the page answers on a port of the screen, on a new connection."""
    try:
        async with aiohttp.ClientSession(URL.format(port)) as client, client.get("/api/v1/status") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorError:
        return False


def test_a_new_port_is_open_at_once_and_the_one_before_goes_on_for_the_kiosk_that_is_there(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first, second, third = world.server.port, free(), free()
        screen = await world.screen()
        async with screen.get("/events") as stream:
            await stream.content.readline()
            await configure(world, port=second)
            assert world.server.port == second
            assert (await answers(second), await answers(first)) == (True, True)
            await text_of(screen, "/")
            world.control.ask_place()
            assert await stream.content.readline(), "a page that was open goes on"
            await configure(world, port=third)
            assert (await answers(third), await answers(second), await answers(first)) == (True, True, False)

    play_link(tmp_path, scenario)


def test_s9_a_port_that_is_taken_is_said_and_the_screen_keeps_the_one_it_has(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        first = world.server.port
        async with taken("127.0.0.1") as port:
            await configure(world, port=port)
            assert await answers(first)
            said = f"The page cannot be opened on 127.0.0.1 port {port}: another program uses that port. "
            assert world.server.problems() == (f"{said}It stays on port {first}.",)
        await configure(world, announce=True)  # whatever comes next tries again, as time does
        assert (world.server.port, world.server.problems()) == (port, ())
        assert (await answers(port), await answers(first)) == (True, True)

    play_link(tmp_path, scenario, pins=False)


def test_s9_whoever_is_in_from_the_link_is_out_when_it_is_closed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        neighbor = await world.browser()
        assert (await sign_in(neighbor, PIN))[0] == 303
        async with neighbor.get("/events") as stream:
            await stream.content.readline()
            await text_of(neighbor, "/")  # on a connection that stays open
            await configure(world, listen="127.0.0.1")
            async with neighbor.get("/") as answer:
                assert answer.status == 403
                assert "answers only on the network" in await answer.text()
            world.control.ask_place()
            while not stream.content.at_eof():
                assert b"Is this phone still at" not in await stream.content.readline()
        assert world.server.link is None
        assert await answers(world.server.port)
        link = world.server._link
        assert link is not None
        await until(lambda: link.urls() == (), "the link was not closed")
        await configure(world, listen="link")
        await world.settled(open_=True)
        assert await text_of(await world.browser(), "/login")

    play_link(tmp_path, scenario)


def test_s9_a_network_that_is_taken_away_is_out_with_the_next_request(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        await configure(world, networks=("127.0.1.0/24",))
        guest = await world.browser("127.0.1.9")
        await text_of(guest, "/login")
        await configure(world, networks=())
        async with guest.get("/login") as answer:
            assert answer.status == 403

    play_link(tmp_path, scenario)


def test_names_and_the_role_of_the_screen_hold_at_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        screen = await world.screen()
        headers = {"Host": "lobby.example"}
        assert (await screen.get("/", headers=headers)).status == 421
        assert (await screen.get("/audit")).status == 200
        assert 'name="pin"' in await text_of(screen, "/audit")
        await configure(world, names=("lobby.example",), local_role="technician")
        assert (await screen.get("/", headers=headers)).status == 200
        assert 'name="pin"' not in await text_of(screen, "/audit")

    play_link(tmp_path, scenario)


def test_a_new_https_port_opens_before_the_old_one_closes_and_the_redirect_follows(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        link, neighbor = world.server.link, await world.browser()
        assert link is not None
        await text_of(neighbor, "/login")
        old, plain, new = link.port(), next(iter(link._open.values()))[1].port, free(PHONE)
        await configure(world, https_port=new)
        await until(lambda: link.port() == new, "the new port was not opened")
        await text_of(neighbor, "/login")  # on the connection that it has
        connector = aiohttp.TCPConnector(local_addr=(LAPTOP, 0), ssl=trusting())
        async with aiohttp.ClientSession(connector=connector) as client:
            async with client.get(f"http://{PHONE}:{plain}/", allow_redirects=False) as answer:
                assert answer.headers["Location"] == f"https://{PHONE}:{new}/"
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get(f"https://{PHONE}:{old}/login")
            async with taken(PHONE) as busy:
                await configure(world, https_port=busy)
                await until(lambda: bool(world.server.problems()), "nothing was said")
                assert link.port() == new, "what is open stays open"
                assert (await client.get(f"https://{PHONE}:{new}/login")).status == 200
            await configure(world, https_port=new, port=busy)
            await until(lambda: world.server.problems() == () and _ports(world) == (new, busy), "it stays closed")
            await configure(world, https_port=busy, port=new)
            await until(lambda: _ports(world) == (busy, new), "the two did not change places")

    play_link(tmp_path, scenario)


def _ports(world: World) -> tuple[int, ...]:
    link = world.server.link
    return tuple(port.port for ports in link._open.values() for port in ports) if link is not None else ()


def make_pair(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of one's own and its key."""
    certificate, key = folder / "own.pem", folder / "own.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
         "-subj", "/CN=front-desk", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


def test_a_supplied_certificate_is_shown_to_the_next_visitor_and_a_broken_one_never(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        link = world.server.link
        assert link is not None
        own = link.fingerprint
        certificate, key = make_pair(tmp_path)
        await configure(world, certificate=certificate, key=key)
        await until(lambda: link.fingerprint != own, "the certificate was not taken up")
        supplied = link.fingerprint
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(LAPTOP, 0))) as client:
            fingerprint = aiohttp.Fingerprint(bytes.fromhex(supplied.replace(":", "")))
            assert (await client.get(f"{world.link_url()}/login", ssl=fingerprint)).status == 200
        certificate.write_text("no certificate")
        world.access.links.reconsider()
        await until(lambda: bool(world.server.problems()), "nothing was said")
        assert "cannot be used" in world.server.problems()[0]
        assert link.fingerprint == supplied
        await text_of(await world.browser(), "/login")

    play_link(tmp_path, scenario)


def test_what_cannot_be_is_found_out_before_it_is_saved(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        server, old = world.server, world.server._settings

        def wrong(**changes: object) -> dict[str, str]:
            return probe(server, old, replace(old, **changes))  # type: ignore[arg-type]

        async with taken("127.0.0.1") as busy:
            assert wrong(port=busy) == {"page.port": "another program uses that port"}
        async with taken(PHONE) as busy:
            assert wrong(https_port=busy) == {"page.https_port": "another program uses that port"}
            assert wrong(https_port=busy, listen="127.0.0.1") == {}
        assert wrong(port=server.port, https_port=free(PHONE)) == {}
        certificate, key = make_pair(tmp_path)
        assert wrong(certificate=certificate, key=key) == {}
        assert "cannot be used" in wrong(certificate=certificate, key=certificate)["page.certificate"]
        assert wrong(certificate=None, key=None) == {}

    play_link(tmp_path, scenario)


def test_the_announcement_follows_name_port_and_wish(tmp_path: Path) -> None:
    log, pids, program = tmp_path / "log", tmp_path / "pids", tmp_path / "publish"
    program.write_text(f'#!/bin/sh\necho $$ >> {pids}\necho "$3|$5" >> {log}\nexec sleep 1000\n')
    program.chmod(0o755)

    def told() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []

    def publishing() -> list[str]:
        return [pid for pid in pids.read_text().split() if Path("/proc", pid).exists()]

    async def inside() -> None:
        wanted: tuple[str, int] | None = ("Lobby", 8912)
        announcer = Announcer(lambda: wanted, str(program))
        task = asyncio.create_task(announcer.run())
        try:
            await until(lambda: told() == ["Lobby|8912"], "nothing was announced")
            announcer.look()  # nothing is different: it goes on
            wanted = ("Reception", 9000)
            announcer.look()
            await until(lambda: told() == ["Lobby|8912", "Reception|9000"], "the new name was not announced")
            assert len(publishing()) == 1
            wanted = None
            announcer.look()
            await until(lambda: not publishing(), "the announcement was not taken back")
        finally:
            task.cancel()
            await asyncio.wait({task})

    asyncio.run(inside())


def test_a_page_that_is_closed_keeps_its_socket_and_opens_again(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        port = world.server.port
        await configure(world, enabled=False)
        assert (world.server.port, world.server.link, await answers(port)) == (None, None, False)
        connector = aiohttp.UnixConnector(str(tmp_path / "agent.sock"))
        async with aiohttp.ClientSession("http://localhost", connector=connector) as cli:
            await text_of(cli, "/api/v1/status")
        await configure(world, enabled=True)
        assert await answers(world.server.port)

    play_link(tmp_path, scenario)
