"""S1 as a matrix: whatever state the phone and its agent are in, 911 and 933 reach the PSAP.

One world for all states, each put right afterwards; every cell is a call on the voice socket that the far end answers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.lab.stage import PASSWORD, USER, Stage, secret
from tests.e2e.house import bound, confirm, kill, wall
from tests.e2e.phone import calls
from tests.voice.wire import Line, until

pytestmark = [pytest.mark.netns, pytest.mark.sip]

PATIENCE = 60.0
State = Callable[[Stage], AbstractContextManager[Line]]
SILENT = {"kind": "drop_request", "path": "SIP REGISTER", "count": None}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The one world of all cells."""
    with furnished(tmp_path_factory.mktemp("matrix")) as world:
        yield world


@contextmanager
def furnished(folder: Path) -> Iterator[Stage]:
    """A phone at the office with a second uplink, registered, its address bound and proven; its disk is small."""
    disk = folder / "state"
    disk.mkdir()
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("DIALSTACK_VOICE_TEST_HOOKS", "1")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(disk)], check=True)
        stack.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
        world = stack.enter_context(Stage("fixed", backup=True, run=folder))
        world.start_platform()
        configure(world)
        world.lab.plug("office")
        world.lab.backup(up=True)
        world.start_voice()
        world.start_agent()
        world.control("POST", "legs", {"ring": 0.05})
        world.wait_until("the question", lambda seen: seen["ask"] != "nothing", PATIENCE)
        confirm(world)
        bound(world)
        yield world


def configure(stage: Stage) -> None:
    """Write the configuration: no callback window, so that a 911 call does not hold the next state up."""
    path = stage.write_config(sip=f'callback_window = 0\nstate_file = "{stage.folder}/state/voice.state"')
    path.write_text(path.read_text().replace(f'recordings = "{stage.folder}"', f'recordings = "{stage.folder}/state"'))


def line_of(stage: Stage) -> Line:
    """Return the device's own program, on the socket."""
    return Line(stage.folder / "voice.sock")


def registered(stage: Stage, *, restart: bool = False) -> None:
    """Have the phone registered again, by a fresh process if asked."""
    if restart:
        kill(stage, "voice")
    line = line_of(stage)
    line.hear(type="registration", kind="registered", patience=PATIENCE)
    line.close()


def anew(stage: Stage, **registration: Any) -> Line:
    """Start the voice process anew and wait until its registration is like that."""
    kill(stage, "voice")
    line = line_of(stage)
    line.hear(type="registration", **registration)
    return line


# ------------------------------------------------------------------ states


@contextmanager
def agent_stopped(stage: Stage) -> Iterator[Line]:
    stage.stop_agent()
    yield line_of(stage)
    stage.start_agent()


@contextmanager
def agent_hung(stage: Stage) -> Iterator[Line]:
    os.kill(stage.process("agent").pid, signal.SIGSTOP)
    yield line_of(stage)
    os.kill(stage.process("agent").pid, signal.SIGCONT)


@contextmanager
def boot_before_registration(stage: Stage) -> Iterator[Line]:
    stage.control("POST", "faults", {"kind": "latency", "path": "SIP REGISTER", "seconds": 3.0, "count": None})
    kill(stage, "voice")
    yield line_of(stage)
    stage.control("DELETE", "faults")
    registered(stage)


@contextmanager
def register_pending(stage: Stage) -> Iterator[Line]:
    stage.control("POST", "faults", SILENT)
    yield anew(stage, kind="registering")
    stage.control("DELETE", "faults")
    registered(stage, restart=True)


@contextmanager
def registrar_silent(stage: Stage) -> Iterator[Line]:
    stage.control("POST", "faults", SILENT)
    yield anew(stage, kind="failed", code=408)
    stage.control("DELETE", "faults")
    registered(stage, restart=True)


@contextmanager
def wrong_password(stage: Stage) -> Iterator[Line]:
    secret(stage.folder / "sip-password", "wrong")
    yield anew(stage, kind="failed", code=401)
    secret(stage.folder / "sip-password", PASSWORD)
    registered(stage, restart=True)


@contextmanager
def registrar_busy(stage: Stage) -> Iterator[Line]:
    fault = {"kind": "status", "path": "SIP REGISTER", "status": 503, "retry_after": 600, "count": None}
    stage.control("POST", "faults", fault)
    yield anew(stage, kind="failed", code=503)
    stage.control("DELETE", "faults")
    registered(stage, restart=True)


@contextmanager
def first_path_dead_backup_alive(stage: Stage) -> Iterator[Line]:
    with closed_road(stage):
        yield line_of(stage)
    registered(stage)


@contextmanager
def closed_road(stage: Stage) -> Iterator[None]:
    """Let the office router swallow everything that goes to the platform; carrier and address stay."""
    stage.lab.run("office", ["nft", "add table inet wall"])
    stage.lab.run("office", ["nft", "add chain inet wall road { type filter hook forward priority -10; }"])
    stage.lab.run("office", ["nft", "add rule inet wall road ip daddr 192.0.2.10 drop"])
    try:
        yield
    finally:
        stage.lab.run("office", ["nft", "delete table inet wall"])


@contextmanager
def api_dead(stage: Stage) -> Iterator[Line]:
    with wall(stage, "tcp dport 8080"):
        yield line_of(stage)


@contextmanager
def token_expired(stage: Stage) -> Iterator[Line]:
    minted = stage.control("POST", "tokens", {"user": USER, "ttl_seconds": 0.001})
    stage.stop_agent()
    secret(stage.folder / "token", minted["client_secret"])
    stage.start_agent()
    stage.wait_until("the expired token", lambda seen: seen["status"]["cause"] == "token_expired", PATIENCE)
    yield line_of(stage)
    stage.write_token()


@contextmanager
def at_home(stage: Stage, mobility: str, kind: str) -> Iterator[Line]:
    """Stand where nobody has confirmed anything."""
    stage.stop_agent()
    stage.mobility = mobility
    configure(stage)
    stage.lab.plug("home")
    stage.start_agent()
    stage.wait_until(kind, lambda seen: seen["status"]["kind"] == kind, PATIENCE)
    yield line_of(stage)
    stage.stop_agent()
    stage.mobility = "fixed"
    configure(stage)
    stage.lab.plug("office")
    stage.start_agent()
    registered(stage)


@contextmanager
def settle_window(stage: Stage) -> Iterator[Line]:
    line = line_of(stage)
    stage.lab.renumber("192.168.7.1")
    yield line
    stage.lab.renumber("192.168.1.1")
    registered(stage)


@contextmanager
def mid_ip_change(stage: Stage) -> Iterator[Line]:
    line = line_of(stage)
    stage.lab.backup(up=False)
    stage.lab.unplug(release=True)
    yield line
    stage.lab.backup(up=True)
    stage.lab.plug("office")
    registered(stage)


@contextmanager
def stack_hung(stage: Stage) -> Iterator[Line]:
    line = line_of(stage)
    line.say(type="test_hang", seconds=60)
    yield line
    registered(stage)


@contextmanager
def page_hung(stage: Stage) -> Iterator[Line]:
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(60)]
    for visitor in crowd:
        visitor.connect(str(stage.agent_socket))
        visitor.sendall(b"POST /addresses/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx")
    yield line_of(stage)
    for visitor in crowd:
        visitor.close()


@contextmanager
def disk_full(stage: Stage) -> Iterator[Line]:
    ballast = stage.folder / "state" / "ballast"
    fill(ballast)
    yield line_of(stage)
    ballast.unlink()


def fill(ballast: Path) -> None:
    """Write until there is no room for another byte."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


STATES: dict[str, State] = {
    "agent stopped": agent_stopped,
    "agent hung": agent_hung,
    "boot before registration": boot_before_registration,
    "REGISTER pending": register_pending,
    "registrar silent": registrar_silent,
    "401 loop": wrong_password,
    "503": registrar_busy,
    "first path dead, backup alive": first_path_dead_backup_alive,
    "API dead": api_dead,
    "token expired": token_expired,
    "no address": lambda stage: at_home(stage, "movable", "unbound"),
    "provisional": lambda stage: at_home(stage, "fixed", "provisional"),
    "settle window": settle_window,
    "mid IP change": mid_ip_change,
    "stack hung": stack_hung,
    "page hung": page_hung,
    "disk full": disk_full,
}


@pytest.mark.parametrize("state", STATES)
def test_s1_911_and_933_reach_the_psap_in_every_state(stage: Stage, state: str) -> None:
    with STATES[state](stage) as line, contextlib.closing(line):
        for number in ("911", "933"):
            reaches_the_psap(stage, line, number, state)
            if state == "stack hung" and number == "911":
                line.say(type="test_hang", seconds=60)


def reaches_the_psap(stage: Stage, line: Line, number: str, state: str) -> None:
    """Dial; the PSAP answers and nobody asked the gate. The cable comes back only after the request."""
    mark = stage.platform_mark()
    name = f"{state}-{number}".replace(" ", "-").replace(",", "")
    line.say(type="call", to=number, req_id=name, record=f"{name}.wav")
    if state == "mid IP change":
        line.hear(type="call", state="calling", req_id=name)
        stage.lab.plug("office")
    up = line.hear(type="call", state="confirmed", req_id=name, patience=PATIENCE)
    (answered,) = until(lambda: calls(stage, mark, "answered", number)[-1:])
    assert answered["leg"] == "psap"
    assert calls(stage, mark, "gate", number) == []
    expected: dict[str, Any] = {"to": number, "emergency": True, "test": number == "933"}
    assert {field: up[field] for field in expected} == expected
    line.say(type="hangup", call=up["call"])
    line.hear(type="call", call=up["call"], state="ended")
    until(lambda: calls(stage, mark, "ended", number))
    if state == "mid IP change" and number == "911":
        stage.lab.unplug(release=True)
