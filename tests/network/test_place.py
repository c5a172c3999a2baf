"""Where is this device plugged in? The rule of `place.py` as a table."""

from __future__ import annotations

import pytest

from agent.model import Observation, Place, Strength, VerdictKind
from agent.network.links import RawLink
from agent.network.place import is_shared_mac, judge, observe
from agent.network.snapshot import Address, Neighbor, Route
from tests.network.builders import BACKUP_MAC, HOME_MAC, OFFICE_MAC, ON, ethernet, office

VRRP = "00:00:5e:00:01:0a"
SUBNET = "192.168.1.0/24"


def strong(mac: str, *, on_path: bool = True, interface: str = "eth0") -> Observation:
    return Observation("gateway_mac", mac, interface, Strength.STRONG, on_path=on_path)


def weak(kind: str, value: str) -> Observation:
    return Observation(kind, value, "eth0", Strength.WEAK)


def place(number: int, *seen: Observation, public: str | None = None, last: float = 0.0) -> Place:
    return Place(number, tuple(seen), confirmation=None, anchor=None, public_address=public, last_seen=last)


OFFICE = place(1, strong(OFFICE_MAC), weak("subnet", SUBNET), public="203.0.113.10", last=10.0)
HOME = place(2, strong(HOME_MAC), weak("subnet", SUBNET), public="198.51.100.20", last=20.0)
CAMPUS = place(3, weak("shared_gateway_mac", VRRP), weak("subnet", SUBNET), public="203.0.113.10", last=5.0)
CAMPUS_TOO = place(4, weak("shared_gateway_mac", VRRP), weak("subnet", SUBNET), public="203.0.113.99", last=6.0)
ALL = (OFFICE, HOME, CAMPUS, CAMPUS_TOO)
SHARED = (weak("shared_gateway_mac", VRRP), weak("subnet", SUBNET))


@pytest.mark.parametrize(
    ("seen", "current", "public", "kind", "found"),
    [
        ((strong(OFFICE_MAC), weak("subnet", SUBNET)), 1, None, VerdictKind.SAME, 1),
        ((strong(OFFICE_MAC), weak("subnet", "10.0.0.0/8")), 1, "192.0.2.99", VerdictKind.SAME, 1),
        ((strong(HOME_MAC), weak("subnet", SUBNET)), 1, "203.0.113.10", VerdictKind.KNOWN, 2),
        ((strong(OFFICE_MAC, interface="eth1"),), None, None, VerdictKind.KNOWN, 1),
        ((strong(BACKUP_MAC), weak("subnet", SUBNET)), 1, "203.0.113.10", VerdictKind.NEW, None),
        ((weak("subnet", SUBNET),), 1, "203.0.113.10", VerdictKind.UNKNOWN, None),
        ((), 1, None, VerdictKind.UNKNOWN, None),
        (SHARED, 3, "203.0.113.10", VerdictKind.SAME, 3),
        (SHARED, 3, "203.0.113.99", VerdictKind.KNOWN, 4),
        (SHARED, 3, "203.0.113.50", VerdictKind.UNKNOWN, None),
        (SHARED, 3, None, VerdictKind.UNKNOWN, None),
        (SHARED[:1], 3, "203.0.113.10", VerdictKind.UNKNOWN, None),
    ],
)
def test_the_rule(
    seen: tuple[Observation, ...], current: int | None, public: str | None, kind: VerdictKind, found: int | None
) -> None:
    verdict = judge(seen, ALL, current, public)
    assert (verdict.kind, verdict.place_id) == (kind, found)


def test_a_hot_spot_that_travels_along_does_not_make_a_new_place_known() -> None:
    companion = place(1, strong(OFFICE_MAC), strong(BACKUP_MAC, on_path=False, interface="wlan0"))
    seen = (strong(HOME_MAC), strong(BACKUP_MAC, on_path=False, interface="wlan0"))
    verdict = judge(seen, [companion], 1, None)
    assert (verdict.kind, verdict.place_id) == (VerdictKind.NEW, None)
    assert verdict.carried_by == (strong(HOME_MAC),)
    assert verdict.against == (strong(BACKUP_MAC, on_path=False, interface="wlan0"),)


def test_a_router_seen_beside_the_path_carries_the_current_place_only() -> None:
    companion = place(1, strong(BACKUP_MAC, on_path=False, interface="wlan0"))
    assert judge((strong(BACKUP_MAC),), [companion], 1, None).kind is VerdictKind.SAME
    elsewhere = judge((strong(BACKUP_MAC),), [companion], 2, None)
    assert elsewhere.kind is VerdictKind.NEW, "what travelled beside the path must not name a place"


def test_the_path_wins_over_another_cable_that_says_otherwise() -> None:
    seen = (strong(HOME_MAC), strong(OFFICE_MAC, on_path=False, interface="eth1"))
    verdict = judge(seen, ALL, 1, None)
    assert (verdict.kind, verdict.place_id) == (VerdictKind.KNOWN, 2)
    assert verdict.against == (strong(OFFICE_MAC, on_path=False, interface="eth1"),)


def test_of_two_places_with_the_same_router_the_most_recently_seen_is_taken() -> None:
    older, newer = place(7, strong(OFFICE_MAC), last=1.0), place(8, strong(OFFICE_MAC), last=2.0)
    assert judge((strong(OFFICE_MAC),), [newer, older], None, None).place_id == 8
    assert judge((strong(OFFICE_MAC),), [newer, older], 7, None).place_id == 7


@pytest.mark.parametrize(
    ("mac", "shared"),
    [
        (VRRP, True),
        ("00:00:5e:00:02:01", True),
        ("00:00:0c:07:ac:01", True),
        ("00:00:0c:9f:f0:01", True),
        ("00:07:b4:00:01:01", True),
        ("00:00:5E:00:01:FF", True),
        (OFFICE_MAC, False),
        ("00:00:0c:11:22:33", False),
        ("00:00:5e:90:10:01", False),
    ],
)
def test_addresses_of_redundancy_protocols_are_shared(mac: str, *, shared: bool) -> None:
    assert is_shared_mac(mac) is shared


def test_observations_name_the_gateway_the_subnet_and_what_is_not_on_the_path() -> None:
    snapshot = office(
        more_links=(ethernet(11, "eth1"),),
        more_addresses=(Address(11, "192.168.2.50", 24),),
        more_uplinks=(Route("192.0.2.1", 11, "192.168.2.50", "192.168.2.1"),),
        more_neighbors=(Neighbor(11, "192.168.2.1", BACKUP_MAC),),
    )
    assert observe(snapshot, snapshot.sip, {"eth0": OFFICE_MAC, "eth1": BACKUP_MAC}) == (
        strong(OFFICE_MAC),
        strong(BACKUP_MAC, on_path=False, interface="eth1"),
        weak("subnet", SUBNET),
        Observation("subnet", "192.168.2.0/24", "eth1", Strength.WEAK, on_path=False),
    )


def test_a_shared_router_address_is_weak_and_a_vlan_is_told() -> None:
    link = RawLink(10, "eth0.20", ON, info="vlan", vlan=20)
    snapshot = office(link=link)
    found = observe(snapshot, snapshot.sip, {"eth0.20": VRRP})
    assert {(one.kind, one.value, one.strength) for one in found} == {
        ("shared_gateway_mac", VRRP, Strength.WEAK),
        ("subnet", SUBNET, Strength.WEAK),
        ("vlan", "20", Strength.WEAK),
    }


def test_failure_07_a_tunnel_is_never_a_place() -> None:
    snapshot = office(link=RawLink(10, "tun0", ON, 65534, info="tun"))
    assert snapshot.sip is not None
    assert observe(snapshot, snapshot.sip, {"tun0": OFFICE_MAC}) == ()
