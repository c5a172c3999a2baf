"""What counts as an uplink, a container, a tunnel, and when a path is one."""

from __future__ import annotations

import dataclasses

import pytest

from agent.model import LinkKind
from agent.network.links import IFF_LOOPBACK, IFF_LOWER_UP, IFF_RUNNING, IFF_UP, RawLink, classify, kind_of
from agent.network.snapshot import Address, Route, build
from tests.network.builders import ON, dump, ethernet, office

PORTABLE = ("wwan*", "ppp*", "usb*")


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        (RawLink(1, "lo", ON | IFF_LOOPBACK, 772), LinkKind.LOOPBACK),
        (RawLink(2, "eth0", ON), LinkKind.ETHERNET),
        (RawLink(2, "enp3s0", ON), LinkKind.ETHERNET),
        (RawLink(2, "oddname", ON), LinkKind.ETHERNET),
        (RawLink(2, "eth0", ON, info="veth"), LinkKind.ETHERNET),
        (RawLink(2, "eth0.20", ON, info="vlan"), LinkKind.ETHERNET),
        (RawLink(2, "bond0", ON, info="bond"), LinkKind.ETHERNET),
        (RawLink(2, "wlan0", ON, wireless=True), LinkKind.WIFI),
        (RawLink(2, "wwan0", ON), LinkKind.CELLULAR),
        (RawLink(2, "usb0", ON), LinkKind.CELLULAR),
        (RawLink(2, "ppp0", ON, 512, info="ppp"), LinkKind.CELLULAR),
        (RawLink(2, "tun0", ON, 65534, info="tun"), LinkKind.TUNNEL),
        (RawLink(2, "office-vpn", ON, 65534, info="wireguard"), LinkKind.TUNNEL),
        (RawLink(2, "tailscale0", ON, 65534), LinkKind.TUNNEL),
        (RawLink(2, "docker0", ON, info="bridge"), LinkKind.CONTAINER),
        (RawLink(2, "veth1a2b", ON, info="veth"), LinkKind.CONTAINER),
        (RawLink(2, "br-5f", ON, info="bridge"), LinkKind.CONTAINER),
        (RawLink(2, "dummy0", ON, info="dummy"), LinkKind.CONTAINER),
        (RawLink(2, "can0", ON, 280), LinkKind.OTHER),
    ],
)
def test_failure_07_links_are_told_apart(link: RawLink, kind: LinkKind) -> None:
    assert kind_of(link, PORTABLE) is kind


@pytest.mark.parametrize("missing", [IFF_UP, IFF_LOWER_UP, IFF_RUNNING])
def test_failure_03_a_path_needs_up_lower_up_and_running(missing: int) -> None:
    assert office().sip is not None
    assert office(link=ethernet(flags=ON & ~missing)).sip is None


def test_failure_03_a_bridge_is_only_as_good_as_its_network_card() -> None:
    bridge = RawLink(5, "br0", ON, info="bridge")
    container = RawLink(6, "veth7", ON, info="veth", master=5)
    for flags, usable in ((ON, True), (IFF_UP, False)):
        card = RawLink(2, "eth0", flags, master=5)
        found = next(link for link in classify((bridge, container, card), (), ()) if link.name == "br0")
        assert (found.kind, found.usable) == (LinkKind.ETHERNET, usable)


def test_failure_02_without_a_route_there_is_no_path_though_link_and_address_are_fine() -> None:
    assert office(route=False).sip is None


def test_failure_04_lifetime_refresh_is_no_change() -> None:
    assert "cstamp" not in {field.name for field in dataclasses.fields(Address)}
    assert office() == office()


def test_failure_05_an_unused_privacy_address_does_not_touch_the_path() -> None:
    mine = "fd00:5:1::50"
    rotating = tuple(Address(10, f"fd00:5:1::{number:x}", 64, deprecated=number == 1) for number in (1, 2))
    before = office(source=mine, gateway="fd00:5:1::1", more_addresses=rotating[:1])
    after = office(source=mine, gateway="fd00:5:1::1", more_addresses=rotating)
    assert (before.sip, before.api) == (after.sip, after.api)


def test_failure_06_deprecation_of_the_source_in_use_is_seen() -> None:
    path = office(deprecated=True).sip
    assert path is not None
    assert path.deprecated


def test_failure_17_the_source_is_what_the_kernel_uses_toward_the_registrar() -> None:
    docker = RawLink(3, "docker0", ON, info="bridge")
    snapshot = office(more_links=(docker,), more_addresses=(Address(3, "172.17.0.1", 16),))
    assert snapshot.sip is not None
    assert (snapshot.sip.source, snapshot.sip.interface, snapshot.sip.gateway) == (
        "192.168.1.50",
        "eth0",
        "192.168.1.1",
    )


def test_order_of_the_kernels_answers_does_not_matter() -> None:
    more = (ethernet(11, "eth1"), ethernet(12, "eth2"))
    addresses = (Address(11, "10.0.0.2", 8), Address(12, "10.1.0.2", 16))
    one = office(more_links=more, more_addresses=addresses)
    other = office(more_links=more[::-1], more_addresses=addresses[::-1])
    assert one == other


def test_a_tentative_source_is_not_usable_yet() -> None:
    raw = dump(source="fd00::5", gateway="fd00::1")
    waiting = dataclasses.replace(raw, addresses=(Address(10, "fd00::5", 64, tentative=True),))
    assert build(raw).sip is not None
    assert build(waiting).sip is None


def test_ipv4_comes_first_and_ipv6_where_there_is_nothing_else() -> None:
    routes = (Route("192.0.2.10", 10, "192.168.1.50", "192.168.1.1"), Route("2001:db8::10", 10, "fd00::5", "fd00::1"))
    both = dataclasses.replace(dump(), sip=routes)
    only6 = dataclasses.replace(dump(), sip=routes[1:])
    assert [path.family for path in (build(both).sip, build(only6).sip) if path] == [4, 6]


def test_blackholes_and_broadcasts_are_no_path() -> None:
    blackhole = dataclasses.replace(dump(), sip=(Route("192.0.2.10", 10, "192.168.1.50", None, type=6),))
    assert build(blackhole).sip is None


def test_portable_and_ignored_interfaces_carry_traffic_but_say_nothing() -> None:
    for snapshot in (build(dump(), portable=("eth*",)), build(dump(), ignored=("eth*",))):
        assert snapshot.sip is not None
        assert snapshot.uplinks == ()
