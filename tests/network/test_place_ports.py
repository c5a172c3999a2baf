"""Places and the ports of network switches: rules 6 and 7 of `place.py` as a table, and what a late port means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.config.settings import NetworkSettings
from agent.heard import Heard, SwitchPort
from agent.model import Observation, Place, Strength, VerdictKind
from agent.network.links import RawLink, classify
from agent.network.place import contradiction, judge, observe
from agent.network.tracker import RENEWALS, Tracker
from tests.network.builders import HOME_MAC, OFFICE_MAC, ON, ethernet, office
from tests.network.test_place import SHARED, SUBNET, place, strong, weak

SWITCH = "02:00:00:00:01:00"
GE1, GE2, GE3 = f"{SWITCH} ge1", f"{SWITCH} ge2", f"{SWITCH} ge3"


def port(value: str, *, on_path: bool = True, interface: str = "eth0") -> Observation:
    return Observation("switch_port", value, interface, Strength.STRONG, on_path=on_path)


ROUTER, SUB = strong(OFFICE_MAC), weak("subnet", SUBNET)
DESK = place(1, ROUTER, SUB, port(GE1), last=10.0)
LOBBY = place(2, ROUTER, SUB, port(GE2), last=20.0)
HOME = place(3, strong(HOME_MAC), SUB, last=30.0)
SILENT = place(4, SUB, port(GE3), last=5.0)
"""A place whose router never says who it is."""
CAMPUS = place(5, *SHARED, public="203.0.113.10", last=5.0)
CHAIN = place(6, SUB, port("switch-1 3"), last=5.0)
TWO = place(7, ROUTER, SUB, port(GE1), port(GE2, on_path=False, interface="eth1"))
ALL = (DESK, LOBBY, HOME, SILENT, CAMPUS, CHAIN)
NEW, KNOWN, SAME, UNKNOWN = VerdictKind.NEW, VerdictKind.KNOWN, VerdictKind.SAME, VerdictKind.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "known", "current", "public", "kind", "found"),
    [
        # 6: another port behind the same router
        ((ROUTER, SUB, port(GE1)), ALL, 1, None, SAME, 1),
        ((ROUTER, SUB, port(GE2)), ALL, 1, None, KNOWN, 2),
        ((ROUTER, SUB, port(GE3)), (DESK, LOBBY), 1, None, NEW, None),
        ((ROUTER, SUB), ALL, 1, None, SAME, 1),  # none is heard yet
        ((ROUTER, SUB), ALL, 2, None, SAME, 2),
        ((ROUTER, SUB), ALL, 3, None, KNOWN, 2),  # the one seen last
        ((strong(HOME_MAC), port(GE3)), (DESK, HOME), 3, None, SAME, 3),  # it has no port on record: it learns one
        ((strong(HOME_MAC), port("switch-1 1")), ALL, 3, None, SAME, 3),
        ((ROUTER, port(GE2)), (place(8, ROUTER), LOBBY), 8, None, KNOWN, 2),  # rule 5: the port is another place's
        # 7: a port against the router, or without one
        ((strong(HOME_MAC), SUB, port(GE1)), (DESK,), 1, None, NEW, None),  # the switch travelled along
        ((strong(HOME_MAC), SUB, port(GE1)), (DESK, HOME), 1, None, UNKNOWN, None),
        ((SUB, port(GE3)), ALL, None, None, KNOWN, 4),
        ((weak("subnet", "10.0.0.0/8"), port(GE3)), ALL, None, None, NEW, None),
        ((SUB, port("switch-1 3")), ALL, 6, None, NEW, None),  # a chain has it in each shop
        ((*SHARED, port(GE1)), (CAMPUS,), 5, "203.0.113.10", SAME, 5),
        ((*SHARED, port(GE1)), (CAMPUS,), 5, "203.0.113.99", NEW, None),
        # two uplinks
        ((strong(OFFICE_MAC, interface="eth1"), port(GE2, interface="eth1")), (TWO,), 7, None, SAME, 7),
        ((strong(OFFICE_MAC, interface="eth1"), port(GE2, interface="eth1")), (TWO,), 3, None, NEW, None),
        ((ROUTER, port(GE3, on_path=False, interface="eth1")), (DESK,), 1, None, SAME, 1),
        ((ROUTER, port(GE1)), (place(9, ROUTER, port(GE2, on_path=False, interface="eth1")),), 9, None, SAME, 9),
    ],
)  # fmt: skip
def test_the_rule(  # noqa: PLR0917 - a table
    seen: tuple[Observation, ...],
    known: tuple[Place, ...],
    current: int | None,
    public: str | None,
    kind: VerdictKind,
    found: int | None,
) -> None:
    verdict = judge(seen, known, current, public)
    assert (verdict.kind, verdict.place_id) == (kind, found)


def test_the_port_stands_with_what_carried_the_verdict() -> None:
    assert judge((ROUTER, SUB, port(GE1)), ALL, 1, None).carried_by == (ROUTER, port(GE1))
    assert judge((ROUTER, port(GE2)), ALL, 1, None).carried_by == (ROUTER, port(GE2))


@pytest.mark.parametrize(
    ("seen", "at", "said"),
    [
        ((ROUTER, SUB), DESK, None),
        ((ROUTER, SUB, port(GE1)), DESK, None),
        ((ROUTER, SUB, port(GE2)), DESK, port(GE2)),
        ((ROUTER, SUB, port(GE3)), DESK, port(GE3)),
        ((strong(HOME_MAC), port(f"{SWITCH} ge4")), HOME, None),
        ((strong(HOME_MAC), port(GE1)), HOME, port(GE1)),  # it is the desk's: the two disagree
        ((ROUTER, port(GE2, on_path=False, interface="eth1")), DESK, None),
    ],
)
def test_a_late_port_contradicts_or_only_adds(
    seen: tuple[Observation, ...], at: Place, said: Observation | None
) -> None:
    assert contradiction(seen, ALL, at, None) == said


# ------------------------------------------------------------------ from the cable to the observation


def test_one_switch_is_a_strong_observation_and_several_are_none() -> None:
    snapshot = office()
    one = SwitchPort(SWITCH, "ge1", "access-2", vlan=110)
    path = snapshot.sip
    seen = observe(replace(snapshot, heard={10: Heard(ports=(one,))}), path, {})
    assert port(GE1) in seen
    assert weak("switch_name", "access-2") in seen
    assert weak("port_vlan", "110") in seen
    two = Heard(ports=(one, SwitchPort(SWITCH, "ge2")))
    assert not [item for item in observe(replace(snapshot, heard={10: two}), path, {}) if "switch" in item.kind]


def test_frames_are_listened_for_on_the_cards_under_a_vlan_a_bridge_and_a_bond() -> None:
    raw = [
        ethernet(2, "eth0"),
        ethernet(3, "eth1"),
        RawLink(4, "bond0", ON, info="bond"),
        RawLink(5, "bond0.110", ON, info="vlan", lower=4, vlan=110),
        RawLink(6, "br0", ON, info="bridge"),
        RawLink(7, "eth2", ON, master=6),
        RawLink(8, "veth1", ON, info="veth", master=6, lower=99),
        RawLink(9, "wg0", ON, info="wireguard"),
        RawLink(10, "eth3", ON, info="macvlan", lower=0),
    ]
    raw[0], raw[1] = replace(raw[0], master=4), replace(raw[1], master=4)
    wires = {link.name: link.wires for link in classify(raw, (), ())}
    assert wires["bond0.110"] == (2, 3)
    assert wires["bond0"] == (2, 3)
    assert wires["br0"] == (7,)
    assert wires["eth0"] == (2,)
    assert wires["eth3"] == (10,)


def test_a_renewal_begins_one_generation_on_the_same_path_and_an_old_one_none() -> None:
    tracker = Tracker(NetworkSettings())
    first = tracker.see(office(), 0.0, 0.0)
    assert first is not None
    renewed = tracker.renew(first.generation, "the port is another one", 1.0)
    assert renewed is not None
    assert (renewed.generation, renewed.sip, renewed.cause) == (2, first.sip, "the port is another one")
    assert renewed.evidence_complete, "the router is known already"
    assert tracker.renew(first.generation, "late", 2.0) is None


def test_s11_renewals_that_never_end_are_held_back_like_any_flap() -> None:
    tracker = Tracker(NetworkSettings())
    state = tracker.see(office(), 0.0, 0.0)
    generations: set[int] = set()
    for second in range(600):
        generation = max(generations, default=1)
        state = tracker.renew(generation, "again", float(second)) or state
        assert state is not None
        generations.add(state.generation)
    assert len(generations) <= 10


def test_a_renewal_that_has_to_wait_comes_by_itself() -> None:
    tracker = Tracker(NetworkSettings())
    state = tracker.see(office(), 0.0, 0.0)
    now = 0.0
    while state is not None and now < 300 and state.generation <= RENEWALS:
        now += 20.0
        state = tracker.renew(state.generation, "again", now) or state
    assert state is not None
    assert tracker.renew(state.generation, "once more", now + 1) is None
    timer = tracker.next_timer(now + 1)
    assert timer is not None
    assert timer > now + 100
    while (timer := tracker.next_timer(now + 1)) is not None and now < 2000:
        now = max(now + 0.1, timer)
        state = tracker.tick(now) or state
    assert (state.cause, state.flapping) == ("once more", False)
