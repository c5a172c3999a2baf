"""Carrier, lease and first traffic within milliseconds: the gateway is known at once, never one from before."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from agent.lab.lab import Lab
from agent.lab.topology import PLATFORM, ROUTERS
from agent.model import NetworkState
from agent.network.penalty import Pace
from tests.network.rig import Rig
from tests.network.test_watch import mac, usable

pytestmark = pytest.mark.netns


@contextlib.contextmanager
def eager_traffic(lab: Lab) -> Iterator[None]:
    """Send to the platform every half millisecond, as soon as there is a way: what registers at once does this."""
    over = threading.Event()
    with lab.in_namespace("device"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                sender.sendto(b"", (PLATFORM, 9))
            time.sleep(0.0005)

    thread = threading.Thread(target=send, name="eager traffic")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sender.close()


def blind(states: list[NetworkState]) -> list[NetworkState]:
    """Return the states that gave up waiting for the wired gateway, for which staff would be asked."""
    return [one for one in states if usable(one) and one.sip and one.sip.interface == "eth0" and mac(one) is None]


def test_a_gateway_resolved_in_the_milliseconds_after_carrier_is_believed_with_two_uplinks() -> None:
    for _ in range(5):
        with Lab(backup=True) as lab, eager_traffic(lab), Rig(lab) as rig:
            rig.wait(lambda _: True)
            lab.backup(up=True)
            lab.plug("office")
            rig.wait(lambda one: usable(one) and one.sip is not None and one.sip.interface == "eth0")
            rig.audit()
            assert mac(rig.last) == ROUTERS["office"].mac
            assert blind(rig.states) == []


def test_failure_09_moves_under_eager_traffic_never_claim_the_place_before() -> None:
    with Lab(backup=True) as lab, eager_traffic(lab):
        lab.backup(up=True)
        lab.plug("office")
        with Rig(lab, pace=Pace(free=1_000)) as rig:
            rig.wait(lambda one: usable(one) and mac(one) == ROUTERS["office"].mac)
            for site in ("home", "office") * 3:
                lab.unplug()
                start = len(rig.states)
                moved = time.monotonic()
                lab.plug(site)
                rig.wait_any(lambda one, site=site: usable(one) and mac(one) == ROUTERS[site].mac, start)  # type: ignore[misc]
                later = [one for one, at in zip(rig.states, rig.seen_at, strict=True) if at > moved + 0.5]
                assert {mac(one) for one in later if one.sip and usable(one)} <= {ROUTERS[site].mac}
            assert blind(rig.states) == []
