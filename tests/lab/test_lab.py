"""The lab behaves as the networks that it stands for."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.lab import namespaces, noise, unprivileged
from agent.lab.lab import Lab, remove_stale
from agent.lab.topology import PLATFORM, PLATFORM6, ROUTERS

pytestmark = pytest.mark.netns

PATIENCE = 10.0
"""Seconds until a test gives up on an answer; no expectation about speed."""


@contextmanager
def echo(lab: Lab, address: str) -> Iterator[tuple[str, int]]:
    """Answer every datagram in the platform namespace with the address that it came from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with lab.in_namespace("platform"):
        server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, 0))

    def serve() -> None:
        while (received := server.recvfrom(64))[0] != b"stop":
            server.sendto(received[1][0].encode(), received[1])

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[:2]
    finally:
        with lab.in_namespace("platform"), socket.socket(family, socket.SOCK_DGRAM) as stopper:
            stopper.sendto(b"stop", server.getsockname())
        thread.join()
        server.close()


def seen_as(lab: Lab, target: tuple[str, int], *, source: str = "") -> str:
    """Ask the echo which public address the device comes from."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    with lab.in_namespace("device"):
        client = socket.socket(family, socket.SOCK_DGRAM)
    with client:
        client.settimeout(PATIENCE)
        if source:
            client.bind((source, 0))
        client.sendto(b"who am I?", target)
        return client.recv(64).decode()


def gateway_mac(lab: Lab, interface: str = "eth0") -> str:
    words = lab.run("device", ["ip", "neighbor", "show", "dev", interface]).split()
    return words[words.index("lladdr") + 1]


def test_both_sites_lease_the_same_address_behind_different_routers_and_public_addresses() -> None:
    with Lab() as lab, echo(lab, PLATFORM) as server:
        seen = {}
        for site in ("office", "home"):
            lab.plug(site)
            public = seen_as(lab, server)
            seen[site] = (public, lab.run("device", ["ip", "-o", "-4", "address", "show", "eth0"]), gateway_mac(lab))
    assert seen["office"][0] == ROUTERS["office"].wan
    assert seen["home"][0] == ROUTERS["home"].wan
    assert seen["office"][1] == seen["home"][1]
    assert "192.168.1.50/24" in seen["office"][1]
    assert (seen["office"][2], seen["home"][2]) == (ROUTERS["office"].mac, ROUTERS["home"].mac)


def test_pulling_the_cable_takes_lower_up_and_leaves_address_and_route() -> None:
    with Lab() as lab:
        assert not lab.has_carrier()
        lab.plug("office")
        assert lab.has_carrier()
        with lab.events() as events:
            before = time.monotonic()
            lab.unplug()
            lost = events.wait("no carrier")
        assert lost.at >= before
        assert "LOWER_UP" not in lab.link("eth0")["flags"]
        assert "192.168.1.50" in lab.run("device", ["ip", "address", "show", "eth0"])
        assert "dev eth0" in lab.run("device", ["ip", "route", "get", PLATFORM])


def test_failure_21_a_new_public_address_changes_nothing_on_the_device() -> None:
    with Lab() as lab, echo(lab, PLATFORM) as server:
        lab.plug("office")
        assert seen_as(lab, server) == ROUTERS["office"].wan
        with lab.events() as events:
            lab.change_wan("office", "203.0.113.77")
            assert seen_as(lab, server) == "203.0.113.77"
            assert events.all() == ()
        lab.change_wan("office", "203.0.113.78")
        assert seen_as(lab, server) == "203.0.113.78"


def test_failure_21_a_flow_that_goes_on_comes_from_the_new_address_too() -> None:
    with Lab() as lab, echo(lab, PLATFORM) as server:
        lab.plug("office")
        with lab.in_namespace("device"):
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with client:
            client.settimeout(PATIENCE)
            seen = []
            for address in (ROUTERS["office"].wan, "203.0.113.77"):
                if address != ROUTERS["office"].wan:
                    lab.change_wan("office", address)
                client.sendto(b"who am I?", server)
                seen.append(client.recv(64).decode())
        assert seen == [ROUTERS["office"].wan, "203.0.113.77"]


def test_the_backup_takes_over_when_the_wire_is_gone_and_steps_back_when_it_returns() -> None:
    with Lab(backup=True) as lab, echo(lab, PLATFORM) as server:
        lab.plug("office")
        lab.backup(up=True)
        assert seen_as(lab, server) == ROUTERS["office"].wan
        lab.wired_down()
        assert seen_as(lab, server) == ROUTERS["backup"].wan
        lab.plug("office")
        assert seen_as(lab, server) == ROUTERS["office"].wan
        lab.backup(up=False)
        assert not lab.has_carrier("eth1")
        assert seen_as(lab, server) == ROUTERS["office"].wan


def test_ipv6_goes_through_the_sites_routers_too() -> None:
    with Lab(ipv6=True) as lab, echo(lab, PLATFORM6) as server:
        for site in ("office", "home"):
            lab.plug(site)
            assert seen_as(lab, server) == ROUTERS[site].wan6


def test_renumbering_keeps_the_router_and_changes_the_subnet() -> None:
    with Lab() as lab, echo(lab, PLATFORM) as server:
        lab.plug("office")
        lab.renumber("192.168.7.1")
        assert seen_as(lab, server, source="192.168.7.50") == ROUTERS["office"].wan
        assert gateway_mac(lab) == ROUTERS["office"].mac


def test_nothing_leaves_the_lab() -> None:
    with Lab(backup=True, ipv6=True) as lab:
        lab.plug("office")
        lab.backup(up=True)
        for role in ("platform", "office", "home", "backup", "device"):
            peers = set(re.findall(r"link-netns(?:id)? (\S+)", lab.run(role, ["ip", "-o", "link"])))
            assert peers <= {lab.namespace(name) for name in ("device", "office", "home", "backup", "platform")}
        for family in ("-4", "-6"):
            assert "default" not in lab.run("platform", ["ip", family, "route"])
        for version, target in ((socket.AF_INET, "198.18.0.1"), (socket.AF_INET6, "2001:db8:ffff::1")):
            with lab.in_namespace("platform"), socket.socket(version, socket.SOCK_DGRAM) as probe:
                assert probe.connect_ex((target, 9)) == errno.ENETUNREACH


def test_noise_leaves_address_and_route_as_they_were() -> None:
    with Lab(ipv6=True) as lab:
        lab.plug("office")
        before = lab.run("device", ["ip", "-o", "address"]), lab.run("device", ["ip", "route"])
        with lab.events() as events:
            noise.everything(lab, rounds=2)
            assert {"link", "address", "route"} <= {event.what for event in events.all()}
        assert (lab.run("device", ["ip", "-o", "address"]), lab.run("device", ["ip", "route"])) == before


def test_several_labs_live_side_by_side_and_leave_nothing() -> None:
    before = set(namespaces.existing())
    with Lab() as one, Lab() as two:
        one.plug("office")
        two.plug("home")
        assert one.namespace("device") != two.namespace("device")
        with one.exec("device", ["sleep", "60"], stderr=subprocess.DEVNULL) as process:
            process.terminate()
            assert process.wait() == -signal.SIGTERM
    assert not {name for name in set(namespaces.existing()) - before if name.startswith(f"dsl{os.getpid()}x")}


def test_what_a_killed_process_left_behind_is_removed_by_the_next() -> None:
    code = "import os, signal; from agent.lab.lab import Lab; Lab().__enter__(); os.kill(os.getpid(), signal.SIGKILL)"
    process = subprocess.run([sys.executable, "-c", code], check=False)
    assert process.returncode == -signal.SIGKILL
    remove_stale()
    ours = [name for name in namespaces.existing() if name.startswith("dsl")]
    assert not [name for name in ours if not Path("/proc", name[3:].split("x")[0]).exists()]


def test_an_unknown_site_is_named_with_the_known_ones() -> None:
    with Lab() as lab, pytest.raises(namespaces.LabError, match="no site 'hotel', there are office, home"):
        lab.plug("hotel")


@pytest.mark.skipif(not unprivileged.available(), reason="user namespaces are switched off here")
def test_a_lab_works_without_privileges_in_its_own_small_world() -> None:
    code = (
        "from agent.lab.lab import Lab; from agent.lab import noise\n"
        "with Lab(backup=True) as lab:\n"
        "    lab.plug('office'); lab.plug('home'); noise.everything(lab, 1); print(lab.has_carrier())"
    )
    done = subprocess.run(
        unprivileged.command([sys.executable, "-c", code]), capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
