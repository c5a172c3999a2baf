"""The page on the link: closed without a PIN, HTTPS only, for neighbors only, under the device's own names only."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import stat
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from agent.config.settings import PageSettings
from agent.errors import NeedsHuman
from agent.page.access import certificate
from agent.page.access.links import Links
from agent.page.routes import Role
from tests.page.client import text_of
from tests.page.fake_control import NOON
from tests.page.link_world import (
    LAN,
    LAPTOP,
    PHONE,
    POLLS,
    STAFF_PIN,
    STRANGER,
    World,
    play_link,
    trusting,
)


def test_s9_without_a_pin_nothing_listens_on_the_link(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert world.server.link is not None
        assert world.server.link.urls() == ()
        await world.access.set_pin(Role.STAFF, STAFF_PIN)
        await world.settled(open_=True)
        port = int(world.link_url().rpartition(":")[2])
        world.access.remove_pin(Role.STAFF)
        await world.settled(open_=False)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(PHONE, port)

    play_link(tmp_path, scenario, pins=False)


def test_s9_a_stranger_from_another_network_is_closed_out_before_tls(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        port = int(world.link_url().rpartition(":")[2])
        reader, writer = await asyncio.open_connection(PHONE, port, local_addr=(STRANGER, 0))
        assert await reader.read() == b""
        writer.close()
        neighbor = await world.browser(LAPTOP)
        await text_of(neighbor, "/login")

    play_link(tmp_path, scenario)


def test_s9_whoever_was_let_in_is_judged_again_when_the_network_changed(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        neighbor = await world.browser()
        await text_of(neighbor, "/login")
        world.access.links.mine = ()
        async with neighbor.get("/login") as response:
            assert response.status == 403
            assert "answers only on the network that the phone is plugged into" in await response.text()

    play_link(tmp_path, scenario)


def test_other_networks_come_in_only_when_the_settings_name_them() -> None:
    links = Links(PageSettings(listen="link", networks=("10.20.0.0/16", "fd00:1::/32")))
    links.mine = (LAN,)
    assert links.may(LAPTOP, PHONE)
    assert links.may("10.20.3.4", PHONE)
    assert links.may("fd00:1::9", PHONE)
    assert not links.may("10.21.0.1", PHONE)
    assert not links.may(LAPTOP, "192.0.2.1"), "the peer has to be on the network of the address that it reached"
    assert not links.may("", PHONE)
    assert not Links(PageSettings(listen="link")).may(LAPTOP, PHONE)


def test_plain_http_on_the_link_leads_to_https_and_repeats_nothing(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert world.server.link is not None
        ports = next(iter(world.server.link._open.values()))
        reader, writer = await asyncio.open_connection(PHONE, ports[1].port, local_addr=(LAPTOP, 0))
        writer.write(b"GET /evil HTTP/1.1\r\nHost: evil.example\r\nX: y\r\n\r\n")
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith("HTTP/1.1 301 ")
        assert f"\r\nLocation: {world.link_url()}/\r\n" in answer
        assert "evil" not in answer

    play_link(tmp_path, scenario)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (PHONE, 200), (f"{PHONE}:8912", 200), ("front-desk", 200), ("Front-Desk:1", 200),
        ("localhost", 421), ("127.0.0.1", 421), ("evil.example", 421), ("127.0.0.3", 421), ("", 421),
        ("front-desk.evil.example", 421), (f"{PHONE}@evil.example", 421),
    ],
)  # fmt: skip
def test_s9_the_link_answers_only_under_the_devices_own_names(host: str, status: int, tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        browser = await world.browser()
        async with browser.get("/login", headers={"Host": host}) as response:
            assert response.status == status

    play_link(tmp_path, scenario)


def test_a_port_that_is_taken_is_said_and_tried_again_when_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(world: World) -> None:
        with socket.create_server((PHONE, 0)) as taken:
            port = taken.getsockname()[1]
            assert world.server.link is not None
            monkeypatch.setattr(world.server.link, "_settings", replace(world.server._settings, https_port=port))
            await world.access.set_pin(Role.STAFF, STAFF_PIN)
            for _ in range(POLLS):
                if world.server.problems():
                    break
                await asyncio.sleep(0.005)
            said = f"The page cannot be opened on {PHONE}: another program uses that port."
            assert world.server.problems() == (said,)
            assert said in await text_of(await world.screen(), "/access")
        world.access.links.reconsider()
        await world.settled(open_=True)
        assert world.server.problems() == ()

    play_link(tmp_path, scenario, pins=False)


# ------------------------------------------------------------------ the certificate


def test_the_fingerprint_on_the_screen_is_the_one_that_a_browser_sees(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        port = int(world.link_url().rpartition(":")[2])
        _, writer = await asyncio.open_connection(PHONE, port, ssl=trusting(), local_addr=(LAPTOP, 0))
        seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
        page = (await text_of(await world.screen(), "/access")).replace("<wbr>", "")
        digest = hashlib.sha256(seen).hexdigest().upper()
        assert ":".join(digest[start : start + 2] for start in range(0, 64, 2)) in page
        assert version == "TLSv1.3"
        assert f"<code>{world.link_url()}/</code>" in page
        assert 'class="qr"' in page

    play_link(tmp_path, scenario)


def test_a_browser_that_trusts_the_certificate_accepts_name_and_address(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "page-cert.pem"))
        connector = aiohttp.TCPConnector(ssl=trusted, local_addr=(LAPTOP, 0))
        async with (
            aiohttp.ClientSession(connector=connector) as browser,
            browser.get(f"{world.link_url()}/login") as got,
        ):
            assert got.status == 200
        key = tmp_path / "page-key.pem"
        assert stat.S_IMODE(key.stat().st_mode) == 0o600

    play_link(tmp_path, scenario)


def test_old_tls_is_refused(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        old = trusting()
        old.set_ciphers("ALL:@SECLEVEL=0")  # this side would speak it
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        port = int(world.link_url().rpartition(":")[2])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection(PHONE, port, ssl=old, local_addr=(LAPTOP, 0))

    play_link(tmp_path, scenario)


def test_the_certificate_is_made_anew_for_a_new_address_and_before_it_ends_and_keeps_its_key(tmp_path: Path) -> None:
    key = tmp_path / "page-key.pem"
    first = certificate.device_made(tmp_path, ["front-desk", "192.168.1.50"], NOON + 1000.0)
    secret = key.read_bytes()
    assert certificate.device_made(tmp_path, ["192.168.1.50"], NOON + 2000.0) == first
    moved = certificate.device_made(tmp_path, ["front-desk", "10.0.0.7", "fd00::7"], NOON + 2000.0)
    assert moved.fingerprint != first.fingerprint
    assert certificate.device_made(tmp_path, ["192.168.1.50"], NOON + 3000.0) == moved, (
        "the place before is still named"
    )
    soon = NOON + 2000.0 + (certificate.DAYS - 29) * 86400.0
    assert certificate.device_made(tmp_path, ["10.0.0.7"], soon).fingerprint != moved.fingerprint
    assert certificate.device_made(tmp_path, ["10.0.0.7"], NOON + 500.0).fingerprint, "a clock that was wrong before"
    assert key.read_bytes() == secret
    (tmp_path / "page-cert.pem").write_text("damaged")
    assert certificate.device_made(tmp_path, ["10.0.0.7"], NOON + 600.0).fingerprint


def test_a_name_cannot_add_a_line_to_the_certificate(tmp_path: Path) -> None:
    made = certificate.device_made(tmp_path, ["good", "evil\nbasicConstraints=CA:TRUE", "a,DNS:b", ""], 1000.0)
    assert '["good"]' in (tmp_path / "page-cert.json").read_text()
    assert made.fingerprint


def test_a_supplied_certificate_is_used_and_a_wrong_one_said(tmp_path: Path) -> None:
    made = certificate.device_made(tmp_path, ["front-desk"], 1000.0)
    assert certificate.supplied(made.certificate, made.key) == made
    with pytest.raises(NeedsHuman, match=r"cannot be used: FileNotFoundError"):
        certificate.supplied(tmp_path / "none.pem", made.key)
    with pytest.raises(NeedsHuman, match=r"cannot be used"):
        certificate.supplied(made.certificate, made.certificate)
