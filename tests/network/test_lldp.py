"""The ear on real cables: lldpd as the switch, frames of strangers, and the helper that opens the socket."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.config.settings import NetworkSettings
from agent.heard import Hearing, SwitchPort
from agent.lab.lab import Lab
from agent.lab.topology import PLATFORM
from agent.model import NetworkState
from agent.network.lldp import opener
from agent.network.lldp.ear import BURST, RATE, Ear
from agent.network.named import complete
from tests.network.frames import STATION, frame, med_switch, tlv
from tests.network.rig import Rig
from tests.network.switch import Switch, send

pytestmark = pytest.mark.netns
OTHER = b"\x04\x02\x00\x00\x00\x00\x09"
ROOT = Path(__file__).parents[2]


NOWHERE = Path("/nonexistent")


def ear(settings: NetworkSettings | None = None, **parts: Any) -> Ear:
    return Ear(settings or NetworkSettings(), SystemClock(), **{"lldpd": NOWHERE, **parts})


def hears(port: str | None) -> Callable[[NetworkState], bool]:
    def predicate(state: NetworkState) -> bool:
        return (state.heard.port.port if state.heard.port else None) == port and not state.interrupted

    return predicate


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as built:
        built.plug("office")
        yield built


def test_a_real_switch_tells_port_and_address_and_hears_a_telephone(lab: Lab) -> None:
    with Switch(lab) as switch, Rig(lab, ear=ear()) as rig:
        switch.civic()
        state = rig.wait(lambda state: state.heard.named is not None)
        assert state.heard.hearing is Hearing.ON
        assert state.heard.port == SwitchPort("sw-2", "ge1", "access-2", "port0", None, None)
        civic = complete(state.heard.named) if state.heard.named else None
        assert civic is not None
        assert civic.one_line() == "123 Main St, Floor 4, San Francisco, CA 94105"
        assert state.heard.source == "lldp"
        until = time.monotonic() + 15
        while not (found := switch.neighbors()) and time.monotonic() < until:
            time.sleep(0.1)
        assert "Class III" in json.dumps(found)
        assert state.generation == 1, "hearing the switch is no move"


def test_what_was_heard_is_forgotten_with_the_carrier_and_another_port_is_heard_after_it(lab: Lab) -> None:
    with Switch(lab) as switch, Rig(lab, ear=ear()) as rig:
        rig.wait(hears("ge1"))
        lab.unplug()
        start = len(rig.states)
        rig.wait(lambda state: state.interrupted)
        switch.port("ge2")
        lab.plug("office")
        rig.wait(hears("ge2"))
        back = [one.heard for one in rig.states[start:] if not one.interrupted]
        assert "ge1" not in {port.port for one in back for port in one.ports}


def test_two_switches_on_one_cable_are_no_evidence_and_one_that_leaves_is_forgotten(lab: Lab) -> None:
    with Rig(lab, ear=ear()) as rig:
        rig.wait(lambda state: state.heard.hearing is Hearing.ON)
        send(lab, [frame(port=b"\x07ge1")])
        rig.wait(hears("ge1"))
        send(lab, [frame(OTHER, b"\x07ge8")])
        state = rig.wait(lambda state: len(state.heard.ports) == 2)
        assert state.heard.port is None
        assert "switch_port" not in {one.kind for one in state.observations}
        send(lab, [frame(OTHER, b"\x07ge8", 0)])
        rig.wait(hears("ge1"))
        send(lab, [frame(port=b"\x07ge1", ttl=1)])
        rig.wait(hears(None))  # one second later


def test_computers_telephones_and_what_comes_by_tunnels_is_not_the_switch(lab: Lab) -> None:
    with Rig(lab, NetworkSettings(portable_interfaces=("eth0",)), ear=ear()) as rig:
        rig.wait(lambda state: state.sip is not None)
        send(lab, [frame(port=b"\x07ge1")])
        rig.audit()
        assert rig.last.heard.ports == ()
    with Rig(lab, ear=ear()) as rig:
        rig.wait(lambda state: state.heard.hearing is Hearing.ON)
        send(lab, [frame(port=b"\x07pc", capabilities=STATION), frame(b"\x07x", b"\x07y", 120, med_switch(3))])
        send(lab, [frame(port=b"\x07ge1")])
        assert [one.port for one in rig.wait(hears("ge1")).heard.ports] == ["ge1"]


def test_s11_a_flood_of_frames_costs_little_and_the_network_goes_on(lab: Lab) -> None:
    with Rig(lab, ear=ear()) as rig:
        rig.wait(lambda state: state.heard.hearing is Hearing.ON)
        assert rig.ear is not None
        began = time.monotonic()
        hostile = [
            frame(b"\x07%d" % number, b"\x07<script>", 65535, tlv(5, b"\x00\xff<b>%d" % number), med_switch())
            if number % 2
            else os.urandom(100)
            for number in range(500)
        ]
        sent = sum(send(lab, hostile) for _ in range(40))
        rig.audit()
        seconds = time.monotonic() - began
        assert sent > 5000
        assert rig.ear.frames <= BURST + RATE * (seconds + 1)
        assert rig.last.heard.port is None
        assert rig.last.generation == 1
        assert not rig.last.interrupted


def test_off_means_that_no_socket_is_opened_and_listen_that_nothing_is_sent(lab: Lab) -> None:
    with Switch(lab) as switch, Rig(lab, ear=ear(NetworkSettings(lldp="listen"))) as rig:
        rig.wait(hears("ge1"))
        assert switch.neighbors() == []
        rig.loop.call_soon_threadsafe(rig.watcher.configure, NetworkSettings(lldp="off"), PLATFORM, PLATFORM)
        state = rig.wait(lambda state: state.heard.hearing is Hearing.OFF)
        assert state.heard.ports == ()
        packets = lab.run("device", ["cat", "/proc/net/packet"])
        assert "88cc" not in packets


def test_where_lldpd_runs_on_the_device_the_phone_is_announced_by_it_alone(lab: Lab, tmp_path: Path) -> None:
    with Switch(lab, port="ge5") as switch, Rig(lab, ear=ear(lldpd=tmp_path)) as rig:
        rig.wait(hears("ge5"))
        assert switch.neighbors() == []


# ------------------------------------------------------------------ who may open the socket


def serve(path: Path, namespace: str, times: int = 1) -> threading.Thread:
    """Do what systemd does for `Accept=yes`: the helper's standard input is the connection."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    path.chmod(0o666)
    door.listen()

    def body() -> None:
        with door:
            for _ in range(times):
                connection, _ = door.accept()
                with connection:
                    argv = [sys.executable, "-IS", str(ROOT / "agent/network/lldp/opener.py")]
                    subprocess.run(["ip", "netns", "exec", namespace, *argv], stdin=connection.fileno(), check=True)

    thread = threading.Thread(target=body, name="helper")
    thread.start()
    return thread


NOBODY = """
    import errno, json, socket, struct, sys
    sys.path.insert(0, {root!r})
    from agent.network.lldp import opener
    found = {{}}
    try:
        opener.open_here()
    except OSError as error:
        found["own"] = error.errno
    heard = opener.ask({door!r})
    opener.member(heard, 10, join=True)
    for name, option, value in (("detach", 27, 0), ("attach", 26, struct.pack("HL", 0, 0))):
        try:
            heard.setsockopt(socket.SOL_SOCKET, option, value)
        except OSError as error:
            found[name] = error.errno
    try:
        heard.bind(("eth0", 0x0003))
    except OSError as error:
        found["bind"] = error.errno
    print(json.dumps(found), flush=True)
    heard.settimeout(5)
    protocols = set()
    try:
        while True:
            data, address = heard.recvfrom(2000)
            protocols.add(address[1])
            if data[:4] == b"\\x02\\x07\\x04\\x02":
                break
    except TimeoutError:
        pass
    print(json.dumps(sorted(protocols)))
"""


def test_the_helpers_socket_works_without_any_right_and_hears_nothing_but_lldp(lab: Lab, tmp_path: Path) -> None:
    door = tmp_path / "door"
    for folder in (tmp_path, *tmp_path.parents[:3]):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o055)
    helper = serve(door, lab.namespace("device"))
    program = textwrap.dedent(NOBODY.format(root=str(ROOT), door=str(door)))
    dropped = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
               "--no-new-privs"]  # fmt: skip
    with lab.exec("device", [*dropped, "/usr/bin/python3", "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        found = json.loads(process.stdout.readline())
        assert found == {"own": errno.EPERM, "detach": errno.EPERM, "attach": errno.EPERM}
        send(lab, [bytes(60)] * 3, ethertype=0x88B5)  # what it must not hear
        send(lab, [frame(port=b"\x07ge1")])
        assert json.loads(process.stdout.readline()) == [opener.LLDP]
        assert process.wait() == 0
    helper.join()


def test_a_helper_in_another_network_is_of_no_use(lab: Lab, tmp_path: Path) -> None:
    helper = serve(tmp_path / "door", lab.namespace("office"))
    with lab.in_namespace("device"), pytest.raises(OSError, match="another network"):
        opener.ask(str(tmp_path / "door"))
    helper.join()


def test_the_helper_gives_nothing_to_anybody_but_the_service_that_it_is_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-IS", str(ROOT / "agent/network/lldp/opener.py"), "dialstack-agent.service"]
        done = subprocess.run(argv, stdin=theirs.fileno(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "Refused: it is not dialstack-agent.service that asks.\n")
        ours.settimeout(0)
        with pytest.raises(BlockingIOError):
            ours.recv(1)


def test_without_right_and_helper_that_is_said_and_nothing_else_suffers(lab: Lab) -> None:
    def refuse() -> socket.socket:
        raise PermissionError(errno.EPERM, "no")

    with Rig(lab, ear=ear(get_socket=refuse)) as rig:
        state = rig.wait(lambda state: state.heard.hearing is Hearing.NO_RIGHT and state.evidence_complete)
        assert state.sip is not None
