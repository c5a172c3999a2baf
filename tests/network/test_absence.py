"""What the order of the kernel's messages proves about a router's hardware address, on hand-built bytes."""

from __future__ import annotations

import random
import socket

import pytest

from agent.network.absence import Absences
from agent.network.hints import AF_BRIDGE, gateway_key
from agent.network.links import IFF_UP
from tests.network.builders import address_message, link_message, message, neighbor_message

ROUTER = "192.168.1.1"
KEY = gateway_key(10, ROUTER)


def up(losses: int) -> bytes:
    return link_message(10, losses=losses)


def down(losses: int) -> bytes:
    return link_message(10, flags=IFF_UP, losses=losses)


LEARNED = neighbor_message(10, ROUTER)
STALE = neighbor_message(10, ROUTER, state=4)
FLUSHED = neighbor_message(10, ROUTER, kind=29)
FAILED = neighbor_message(10, ROUTER, state=0x20)


def heard(*datagrams: bytes) -> Absences:
    absences = Absences()
    absences.follow(frozenset({KEY}))
    for datagram in datagrams:
        absences.take(datagram)
    return absences


@pytest.mark.parametrize(
    ("datagrams", "losses"),
    [
        ((FLUSHED, down(1), up(1), LEARNED), 1),
        ((FLUSHED + down(1) + up(1) + LEARNED,), 1),
        ((FLUSHED, down(1)), 1),
        ((up(0), down(1), FLUSHED, up(1), STALE), 1),
        ((up(0), down(1), FAILED, up(1), LEARNED), 1),
        ((FLUSHED, up(1), LEARNED), 1),
        ((FLUSHED, down(1), up(1), LEARNED, up(1)), 1),
        ((FLUSHED, down(1), up(1), LEARNED, FLUSHED, down(2), up(2), LEARNED), 2),
        ((FLUSHED, down(1), down(2), up(2), LEARNED), 2),
    ],
)
def test_a_router_that_was_flushed_and_learned_again_is_news(datagrams: tuple[bytes, ...], losses: int) -> None:
    assert heard(*datagrams).since_loss() == {(*KEY, losses)}


@pytest.mark.parametrize(
    "datagrams",
    [
        (),
        (LEARNED,),
        (up(0), LEARNED),
        (FLUSHED, LEARNED, down(1), up(1), LEARNED),  # forgotten and learned before the loss, then it survived
        (LEARNED, down(1), up(1), STALE, LEARNED),  # a survivor whose state changes
        (FLUSHED, down(1), up(1), LEARNED, down(2), up(2), LEARNED),  # news of the first loss, a survivor of the second
        (FLUSHED, down(1), up(1), LEARNED, up(2), LEARNED),  # a loss that is only counted
        (down(1), up(1), LEARNED),  # nothing was ever said about its absence
        (FLUSHED, LEARNED),  # no loss was told: nobody knows which one it is about
        (FLUSHED, link_message(10, flags=IFF_UP), up(1), LEARNED),  # a kernel that does not count
        (FLUSHED, down(1), link_message(10, kind=17), up(1), LEARNED),  # another device under the same number
        (neighbor_message(11, ROUTER, kind=29), down(1), up(1), LEARNED),
        (neighbor_message(10, "192.168.1.77", kind=29), down(1), up(1), LEARNED),
        (neighbor_message(10, ROUTER, kind=29, family=AF_BRIDGE), down(1), up(1), LEARNED),
        (FLUSHED, link_message(10, family=AF_BRIDGE, flags=0, losses=1), LEARNED),
        (message(29, b"\0" * 12), down(1), up(1), LEARNED),
    ],
)
def test_failure_03_09_an_entry_that_may_be_from_before_the_loss_is_no_news(datagrams: tuple[bytes, ...]) -> None:
    assert heard(*datagrams).since_loss() == frozenset()


def test_news_of_one_loss_says_nothing_about_the_next_one() -> None:
    absences = heard(FLUSHED, down(1), up(1), LEARNED)
    absences.take(down(2))
    assert absences.since_loss() == frozenset()


def test_failure_01_after_an_overrun_what_is_still_queued_proves_nothing() -> None:
    absences = heard(FLUSHED, down(1), up(1))
    absences.overrun()
    assert absences.since_loss() == frozenset()
    absences.take(FLUSHED)  # queued before the gap; in the gap it was learned
    absences.drained()
    absences.take(down(2))
    absences.take(up(2))
    assert absences.since_loss() == frozenset()
    for datagram in (FLUSHED, down(3), up(3), LEARNED):
        absences.take(datagram)
    assert absences.since_loss() == {(*KEY, 3)}, "it stayed deaf"


def test_failure_10_a_suspend_forgets_everything() -> None:
    absences = heard(FLUSHED, down(1), up(1))
    absences.forget()
    absences.take(up(1))
    assert absences.since_loss() == frozenset()


def test_a_router_that_was_not_followed_for_a_while_is_unknown() -> None:
    """Its messages were not heard: it may have been learned again."""
    absences = heard(FLUSHED, down(1), up(1))
    absences.follow(frozenset())
    absences.follow(frozenset({KEY}))
    absences.take(up(2))
    assert absences.since_loss() == frozenset()


@pytest.mark.parametrize("spoiled", [down(1)[:-4], FLUSHED[:-2], b"\1", b"\0" * 16, message(16, b"\0" * 4)])
def test_what_makes_no_sense_makes_it_forget(spoiled: bytes) -> None:
    absences = heard(FLUSHED, down(1), up(1))
    absences.take(spoiled)
    assert absences.since_loss() == frozenset()


def test_random_bytes_never_raise() -> None:
    seeded = random.Random(911)
    absences = heard()
    for _ in range(5_000):
        data = bytearray(seeded.choice([down(1), up(2), LEARNED, FLUSHED, address_message(10, ROUTER)]))
        for _ in range(seeded.randrange(8)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        absences.take(bytes(data[: seeded.randrange(len(data) + 1)]))
        assert all(len(one) == 3 for one in absences.since_loss())


def test_ipv6_routers_are_followed_too() -> None:
    router = gateway_key(10, "fe80::1")
    absences = Absences()
    absences.follow(frozenset({router}))
    absences.take(neighbor_message(10, "fe80::1", kind=29, family=socket.AF_INET6))
    absences.take(down(1))
    assert absences.since_loss() == {(*router, 1)}
