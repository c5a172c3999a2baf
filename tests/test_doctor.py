"""Checks of the check-up that no laboratory can break: clock, certificates, names, and a check that itself fails."""

from __future__ import annotations

import asyncio
import http.server
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config.settings import NetworkSettings, PlatformSettings, Settings, SipSettings
from agent.doctor import examine, network, platform, switch
from agent.doctor.bundle import HIDDEN, hide
from agent.doctor.checkup import CheckUp
from agent.doctor.result import TITLES, Finding, Report, Result, ok
from agent.doctor.world import World
from agent.heard import Heard, Hearing, SwitchPort
from agent.model import LinkKind
from agent.model import Path as NetworkPath
from agent.network.snapshot import EMPTY
from agent.say import say
from tests.page.fake_control import overview

NOON = 1_795_500_000.0


class Clock:
    """Shows what it is told."""

    def __init__(self, wall: float = NOON) -> None:
        self._wall = wall

    def monotonic(self) -> float:
        return 0.0

    def boottime(self) -> float:
        return 0.0

    def wall(self) -> float:
        return self._wall


def world(wall: float = NOON, **settings: object) -> World:
    return World(replace(Settings(), **settings), Clock(wall))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wall", "server", "finding", "code"),
    [
        (NOON, NOON + 2, Finding.OK, ""),
        (NOON, NOON + 90, Finding.WARN, "clock_off"),
        (NOON, NOON - 400, Finding.FAIL, "clock_wrong"),
        (NOON, NOON + 400, Finding.FAIL, "clock_wrong"),
        (86400.0, None, Finding.FAIL, "clock_unset"),
        (NOON, None, Finding.SKIP, "not_tested"),
    ],
)
def test_the_clock_is_compared_with_the_platforms(
    wall: float, server: float | None, finding: Finding, code: str
) -> None:
    around = world(wall)
    around.server_date = server
    result = asyncio.run(platform.clock(around))
    assert (result.finding, result.code) == (finding, code)


@contextmanager
def served(folder: Path, name: str) -> Iterator[tuple[int, Path]]:
    """Serve HTTPS on loopback with a certificate for that name, made by an authority that is its own."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    where = ["-days", "2", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *where, *names], check=True, capture_output=True)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"error": "unauthorized"}).encode()
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that does not trust us hangs up."""

    server = Server(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "trusted", "code"),
    [("localhost", True, ""), ("api.example.com", True, "certificate_name"), ("localhost", False, "certificate")],
)
def test_a_certificate_of_somebody_else_is_told_apart(tmp_path: Path, name: str, code: str, *, trusted: bool) -> None:
    with served(tmp_path, name) as (port, certificate):
        settings = PlatformSettings(api=f"https://localhost:{port}", ca_file=certificate if trusted else None)
        around = world(platform=settings)
        around.online = True
        result = asyncio.run(platform.api(around))
    assert result.code == code
    assert around.reached is (code == "")
    if code == "certificate_name":
        assert result.found == f"The certificate of localhost:{port} is for another name."


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "dns_unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns_silent"),
        (TimeoutError(), "dns_silent"),
        (UnicodeError(), "dns_unknown"),
    ],
)
def test_a_name_that_does_not_exist_is_not_a_name_server_that_is_silent(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    async def look_up(_: str) -> list[str]:
        raise error

    monkeypatch.setattr(network, "look_up", look_up)
    result = asyncio.run(network.dns(world(sip=SipSettings(registrar="sip.example.net"))))
    assert (result.code, "sip.example.net" in result.found) == (code, True)


def test_a_check_that_breaks_or_hangs_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: World) -> Result:
        raise ZeroDivisionError("oops")

    async def hanging(_: World) -> Result:
        await asyncio.Event().wait()
        raise AssertionError

    async def good(_: World) -> Result:
        return ok("disk", say("The clock is right."))

    async def blind(_: World) -> None:
        raise OSError

    monkeypatch.setattr(examine, "STAGES", ({"link": broken, "audio": hanging, "disk": good},))
    monkeypatch.setattr(examine, "DEADLINE", 0.01)
    monkeypatch.setattr(network, "look", blind)
    report = asyncio.run(examine.examine(world(), only=("link", "audio", "disk")))
    assert [(one.name, one.finding, one.code) for one in report.results] == [
        ("link", Finding.FAIL, "defect"),
        ("audio", Finding.FAIL, "timeout"),
        ("disk", Finding.OK, ""),
    ]
    assert report.worst is Finding.FAIL
    json.dumps(report.plain())


def test_a_second_check_up_ends_the_first() -> None:
    started: list[tuple[str, ...]] = []
    gate, done = asyncio.Event(), asyncio.Event()

    async def slow(_: World, *, only: tuple[str, ...], **__: object) -> Report:
        started.append(only)
        if only == ("link",):
            await gate.wait()
        asyncio.get_running_loop().call_soon(done.set)
        return Report(NOON, "agent", "1", (ok(only[0], say("The clock is right.")),))

    async def scenario() -> CheckUp:
        checkup = CheckUp(world, slow)
        checkup.start(("link",))
        checkup.start(("link",))
        await asyncio.sleep(0)
        assert checkup.results[0].finding is Finding.RUNNING
        checkup.start(("disk",))
        await done.wait()
        return checkup

    found = asyncio.run(scenario())
    assert started == [("link",), ("disk",)]
    assert [one.name for one in found.results] == ["disk"]


def test_s10_a_secret_is_taken_out_as_it_is_and_as_json_writes_it() -> None:
    secret = 'pa"ss\\word'
    text = f"a {secret} b {json.dumps(secret)} c"
    assert hide(text, (secret,)) == f'a {HIDDEN} b "{HIDDEN}" c'


def test_every_check_has_its_title_and_its_stage() -> None:
    staged = {name for stage in examine.STAGES for name in stage}
    assert staged == set(TITLES)


SWITCH_PATH = NetworkPath("eth0", 2, "192.168.1.50", "192.168.1.1", "192.0.2.10", LinkKind.ETHERNET, 4)
GE1 = SwitchPort("02:00:00:00:01:00", "ge1", "access-2")


@pytest.mark.parametrize(
    ("heard", "finding", "code", "found"),
    [
        (Heard(Hearing.ON, (GE1,)), Finding.OK, "", "This phone is plugged into port ge1 of access-2."),
        (Heard(Hearing.ON, (GE1, replace(GE1, port="ge2"))), Finding.WARN, "several_switches", "Several network"),
        (Heard(Hearing.ON), Finding.OK, "", "No network switch says which port this is"),
        (Heard(Hearing.NO_RIGHT), Finding.WARN, "no_right", "The network switch cannot be asked."),
    ],
)
def test_the_switch_is_told_or_why_not(heard: Heard, finding: Finding, code: str, found: str) -> None:
    around = world()
    around.snapshot = replace(EMPTY, sip=SWITCH_PATH)
    around.view = lambda: replace(overview(), heard=heard)
    result = asyncio.run(switch.switch(around))
    assert (result.finding, result.code) == (finding, code)
    assert result.found.startswith(found)
    off = replace(around.settings, network=NetworkSettings(lldp="off"))
    around.settings = off
    assert asyncio.run(switch.switch(around)).code == "lldp_off"
