"""Wi-Fi evidence: nl80211 on hand-built bytes, its absence on this machine's kernel, and what a roam means."""

from __future__ import annotations

import asyncio
import errno
import random
import struct
import threading
from collections.abc import Iterable
from dataclasses import replace

import pytest

from agent.config.settings import NetworkSettings
from agent.model import Observation, Place, Strength, VerdictKind
from agent.network import wifi
from agent.network.evidence import GatewayEvidence
from agent.network.links import RawLink
from agent.network.place import judge, observe
from agent.network.snapshot import Snapshot, Wifi, build
from agent.network.tracker import Tracker
from agent.network.wifi import WifiReader, answers, attribute, bssid, family_id, family_request, fields, ssid
from tests.network.builders import HOME_MAC, OFFICE_MAC, ON, dump, office

AP1, AP2, HOME_AP = "a4:00:00:00:00:01", "a4:00:00:00:00:02", "b8:00:00:00:00:01"
VRRP = "00:00:5e:00:01:0a"
NL80211 = 27


def reply(kind: int, payload: bytes, *, sequence: int = 5, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 4711) + payload


def generic(command: int, *parts: bytes, sequence: int = 5) -> bytes:
    return reply(NL80211, struct.pack("=BBH", command, 1, 0) + b"".join(parts), sequence=sequence)


def number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def interface(name: bytes = b"corp", *, mode: int = 2, index: int = 10) -> bytes:
    return generic(7, number(3, index), number(5, mode), attribute(52, name))


def station(mac: str = AP1, *, told: int | None = None, on: int = 0, nested: int = 0x8000, index: int = 10) -> bytes:
    info = b"" if told is None else attribute(21 | nested, attribute(17, struct.pack("=II", told, on)))
    return generic(19, number(3, index), attribute(6, bytes.fromhex(mac.replace(":", ""))), info)


def error(code: int) -> bytes:
    return reply(2, struct.pack("=i", -code) + bytes(16))


DONE = reply(3, bytes(4))


def found(*messages: bytes) -> list[wifi.Answer]:
    return answers(b"".join(messages), NL80211, 5)[0]


def test_the_requests_are_what_the_kernels_headers_say() -> None:
    assert family_request(1) == struct.pack("=IHHIIBBHHH", 32, 16, 1, 1, 0, 3, 1, 0, 12, 2) + b"nl80211\0"
    asked = wifi.request(NL80211, 17, 7, number(3, 10), dump=True)
    assert asked == struct.pack("=IHHIIBBHHHI", 28, NL80211, 0x301, 7, 0, 17, 1, 0, 8, 3, 10)


def test_family_number() -> None:
    body = struct.pack("=BBH", 1, 2, 0) + attribute(2, b"nl80211\0") + attribute(1, struct.pack("=H", NL80211))
    assert family_id(answers(reply(16, body), 16, 5)[0]) == NL80211
    with pytest.raises(ValueError, match="no family number"):
        family_id([])


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (interface(), "corp"),
        (interface(b"B\xc3\xbcro"), "Büro"),
        (interface(b"a\xff\0"), "a\\xff\\x00"),
        (interface(b""), None),
        (interface(mode=3), None),
        (interface(index=11), None),
        (generic(7, number(3, 10), attribute(52, b"corp")), None),
    ],
)
def test_the_ssid_is_that_of_a_client_link(message: bytes, name: str | None) -> None:
    assert ssid(found(message), 10) == name


@pytest.mark.parametrize(
    ("messages", "point"),
    [
        ((station(),), AP1),
        ((station(told=0x42, on=0x02),), AP1),
        ((station(told=0x42, on=0x02, nested=0),), AP1),
        ((station(told=0x02, on=0),), None),
        ((station(told=0x42, on=0x42),), None),
        ((station(), station(AP2, told=0x42, on=0x42)), AP1),
        ((station(), station(AP2)), None),
        ((station(index=11),), None),
        ((), None),
    ],
)
def test_the_bssid_is_the_one_access_point_that_let_us_in(messages: tuple[bytes, ...], point: str | None) -> None:
    assert bssid(found(*messages), 10) == point


@pytest.mark.parametrize("mac", ["a4:00:00:00:00", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"])
def test_a_station_without_an_address_makes_no_sense(mac: str) -> None:
    with pytest.raises(ValueError, match="without an address"):
        bssid(found(station(mac)), 10)


def test_answers_end_and_errors_are_raised() -> None:
    assert not answers(station(), NL80211, 5)[1]
    assert answers(station() + DONE, NL80211, 5)[1]
    assert answers(generic(19, sequence=4), NL80211, 5) == ([], False), "an answer to an earlier question"
    with pytest.raises(OSError, match="No such file") as raised:
        answers(error(errno.ENOENT), NL80211, 5)
    assert raised.value.errno == errno.ENOENT
    with pytest.raises(ValueError, match="changed while"):
        answers(reply(NL80211, bytes(4), flags=0x10), NL80211, 5)


def test_truncated_answers_and_odd_lengths_raise_value_errors_only() -> None:
    whole = interface() + station(told=0x42, on=0x02) + DONE
    for length in range(1, len(whole)):
        try:
            parts, _ = answers(whole[:length], NL80211, 5)
        except ValueError:
            continue
        assert bssid(parts, 10) in (None, AP1)
    for lie in (0, 3, 9, 0xFFFF):
        with pytest.raises(ValueError, match="lies"):
            fields(struct.pack("=HH", lie, 6) + bytes(4))
    assert fields(attribute(52, b"odd") + attribute(6, b"12345")) == {52: b"odd", 6: b"12345"}


def test_random_bytes_raise_nothing_unexpected() -> None:
    seeded = random.Random(911)
    for _ in range(5_000):
        data = bytearray(interface() + station(told=0x42, on=2) + DONE)
        for _ in range(seeded.randrange(8)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        try:
            parts, _ = answers(bytes(data), NL80211, 5)
            ssid(parts, 10)
            bssid(parts, 10)
        except (ValueError, OSError):
            continue


# --------------------------------------------------------------------------- asking


def at_wifi(
    point: str | None = AP1, *, name: str = "corp", mac: str | None = OFFICE_MAC, downs: int = 0, flags: int = ON
) -> Snapshot:
    link = RawLink(10, "wlan0", flags, carrier_downs=downs, wireless=True)
    return replace(office(link=link, mac=mac), wifi={10: Wifi(name, point)} if flags == ON else {})


class Driver:
    """Stands for the kernel's nl80211: counts the questions and answers, refuses or hangs."""

    def __init__(self, answer: dict[int, Wifi] | Exception) -> None:
        self.answer = answer
        self.asked = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, _: Iterable[int]) -> dict[int, Wifi]:
        self.asked += 1
        self.go.wait(10.0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_only_usable_wifi_links_that_do_not_travel_are_asked_about() -> None:
    async def main() -> None:
        driver = Driver({10: Wifi("corp", AP1)})
        reader = WifiReader(driver, 5.0)
        assert await reader.read(at_wifi()) == {10: Wifi("corp", AP1)}
        raw = dump(link=RawLink(10, "wlan0", ON, wireless=True))
        for silent in (office(), at_wifi(flags=1), build(raw, portable=("wlan*",)), build(raw, ignored=("wlan*",))):
            assert await reader.read(silent) == {}
        assert driver.asked == 1

    asyncio.run(main())


def test_without_nl80211_it_is_asked_again_only_when_a_link_appears() -> None:
    async def main() -> None:
        driver = Driver(OSError(errno.ENOENT, "No such file or directory"))
        reader = WifiReader(driver, 5.0)
        for _ in range(5):
            assert await reader.read(at_wifi()) == {}
        assert driver.asked == 1
        assert await reader.read(office()) == {}
        await reader.read(at_wifi())
        assert driver.asked == 2, "the link went and came: there may be a driver now"

    asyncio.run(main())


@pytest.mark.parametrize("failure", [OSError(errno.ENETDOWN, "down"), ValueError("odd"), struct.error("short")])
def test_other_failures_are_no_evidence_this_time(failure: Exception) -> None:
    async def main() -> None:
        driver = Driver(failure)
        reader = WifiReader(driver, 5.0)
        assert await reader.read(at_wifi()) == {}
        driver.answer = {10: Wifi("corp", AP1)}
        assert await reader.read(at_wifi()) == {10: Wifi("corp", AP1)}

    asyncio.run(main())


def test_a_driver_that_hangs_delays_one_snapshot_and_no_other() -> None:
    async def main() -> None:
        driver = Driver({})
        driver.go.clear()
        reader = WifiReader(driver, 0.01)
        assert await reader.read(at_wifi()) == {}
        assert await reader.read(at_wifi()) == {}
        assert driver.asked == 1
        driver.go.set()

    asyncio.run(main())


def test_this_machines_kernel_has_no_wireless_and_says_so() -> None:
    refused: int | None = 0
    try:
        assert wifi.ask([1]) == {}  # a kernel with wireless: the loopback is none
    except OSError as failure:
        refused = failure.errno
    assert refused in (0, errno.ENOENT, errno.EPROTONOSUPPORT)
    assert asyncio.run(WifiReader().read(at_wifi())) == {}


# --------------------------------------------------------------------------- what it means


def seen(point: str | None, mac: str | None, name: str = "corp") -> tuple[Observation, ...]:
    snapshot = at_wifi(point, name=name, mac=mac)
    return observe(snapshot, snapshot.sip, {"wlan0": mac} if mac else {})


def place(number: int, observations: tuple[Observation, ...]) -> Place:
    return Place(number, observations, confirmation=None, anchor=None, public_address=None, last_seen=float(number))


def test_the_bssid_is_strong_and_the_ssid_weak() -> None:
    strengths = {(one.kind, one.value): one.strength for one in seen(AP1, OFFICE_MAC)}
    assert strengths["bssid", AP1] is Strength.STRONG
    assert strengths["ssid", "corp"] is Strength.WEAK


@pytest.mark.parametrize(
    ("here", "kind", "found_id"),
    [
        (seen(AP1, OFFICE_MAC), VerdictKind.SAME, 1),
        (seen(AP2, OFFICE_MAC), VerdictKind.SAME, 1),  # a roam: another access point, the same gateway
        (seen(AP1, None), VerdictKind.SAME, 1),
        (seen(AP2, None), VerdictKind.NEW, None),  # the SSID alone says nothing
        (seen(AP2, VRRP), VerdictKind.NEW, None),
        (seen(HOME_AP, HOME_MAC), VerdictKind.KNOWN, 2),
        (seen(AP1, HOME_MAC), VerdictKind.UNKNOWN, None),  # an access point that was taken home
        (seen(HOME_AP, OFFICE_MAC), VerdictKind.UNKNOWN, None),
        (seen(None, None), VerdictKind.UNKNOWN, None),
    ],
)
def test_the_rule_with_access_points(here: tuple[Observation, ...], kind: VerdictKind, found_id: int | None) -> None:
    places = [place(1, seen(AP1, OFFICE_MAC)), place(2, seen(HOME_AP, HOME_MAC))]
    verdict = judge(here, places, 1, None)
    assert (verdict.kind, verdict.place_id) == (kind, found_id)


def test_two_floors_behind_one_router_are_told_apart_by_their_access_points() -> None:
    floors = [place(1, seen(AP1, OFFICE_MAC)), place(2, seen(AP2, OFFICE_MAC))]
    for current in (1, 2, None):
        assert judge(seen(AP2, OFFICE_MAC), floors, current, None).place_id == 2


def test_failure_09_a_roam_behind_the_same_gateway_keeps_the_generation() -> None:
    tracker = Tracker(NetworkSettings())
    first = tracker.see(at_wifi(AP1), 100.0, 100.0)
    roamed = tracker.see(at_wifi(AP2), 110.0, 110.0)
    assert first is not None
    assert roamed is not None
    assert (roamed.generation, roamed.interrupted) == (first.generation, False)
    assert AP2 in {one.value for one in roamed.observations}


def test_failure_09_a_roam_with_a_loss_of_carrier_waits_for_the_gateway_and_keeps_the_generation() -> None:
    tracker = Tracker(NetworkSettings())
    tracker.see(at_wifi(AP1), 100.0, 100.0)
    tracker.see(at_wifi(flags=1, mac=None, downs=1), 110.0, 110.0)
    assert tracker.see(at_wifi(AP2, mac=None, downs=1), 111.0, 111.0) is None
    back = tracker.see(at_wifi(AP2, downs=1), 111.5, 111.5)
    assert back is not None
    assert (back.generation, back.resumed, back.interrupted) == (1, 1, False)


@pytest.mark.parametrize("mac", [None, VRRP])
def test_another_access_point_without_a_proven_gateway_is_a_new_generation(mac: str | None) -> None:
    tracker = Tracker(NetworkSettings())
    tracker.see(at_wifi(AP1, mac=mac), 100.0, 100.0)
    moved = tracker.see(at_wifi(AP2, mac=mac), 110.0, 110.0)
    assert moved is not None
    assert moved.generation == 2
    assert moved.cause == f"the access point is {AP2}, was {AP1}, and no gateway is proven"


def test_an_access_point_that_is_not_told_once_is_no_news() -> None:
    tracker = Tracker(NetworkSettings())
    for now, point in ((100.0, AP1), (101.0, None), (102.0, AP1)):
        tracker.see(at_wifi(point, mac=VRRP), now, now)
    assert tracker.see(at_wifi(AP1, mac=VRRP), 103.0, 103.0) is None
    state = tracker.see(at_wifi(AP2, mac=VRRP), 104.0, 104.0)
    assert state is not None
    assert state.generation == 2


def test_failure_09_another_network_name_distrusts_the_gateway_even_without_a_loss_of_carrier() -> None:
    evidence = GatewayEvidence()
    evidence.update(at_wifi(), 100.0)
    assert evidence.update(at_wifi(HOME_AP, name="guest"), 110.0) == {"wlan0"}
    assert evidence.mac("wlan0", "192.168.1.1") is None
