"""Which of the kernel's messages may be ignored, on hand-built bytes."""

from __future__ import annotations

import random

import pytest

from agent.network.hints import AF_BRIDGE, Hint, Interest, gateway_key, read
from tests.network.builders import address_message, link_message, message, neighbor_message

INTEREST = Interest(
    links=frozenset({10}), gateways=frozenset({gateway_key(10, "192.168.1.1"), gateway_key(10, "fe80::1")})
)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (link_message(10), Hint.URGENT),
        (link_message(10, kind=17), Hint.URGENT),
        (link_message(77), Hint.LOOK),
        (link_message(10, family=AF_BRIDGE), Hint.NOTHING),
        (address_message(10, "192.168.1.50"), Hint.LOOK),
        (address_message(10, "192.168.1.50", cstamp=1, tstamp=9), Hint.LOOK),
        (message(24, bytes(12)), Hint.LOOK),
        (message(32, bytes(12)), Hint.LOOK),
        (neighbor_message(10, "192.168.1.1"), Hint.URGENT),
        (neighbor_message(10, "fe80::1"), Hint.URGENT),
        (neighbor_message(10, "192.168.1.77"), Hint.NOTHING),
        (neighbor_message(11, "192.168.1.1"), Hint.NOTHING),
        (neighbor_message(10, "192.168.1.1", family=AF_BRIDGE), Hint.NOTHING),
        (neighbor_message(10, "192.168.1.77") + link_message(10), Hint.URGENT),
        (b"", Hint.NOTHING),
    ],
)
def test_hints(data: bytes, hint: Hint) -> None:
    assert read(data, INTEREST) is hint


@pytest.mark.parametrize(
    "whole", [link_message(10), neighbor_message(10, "192.168.1.77"), address_message(1, "1.2.3.4")]
)
def test_truncated_messages_are_doubt_and_doubt_is_a_hint(whole: bytes) -> None:
    for length in range(1, len(whole)):
        assert read(whole[:length], INTEREST) is not Hint.NOTHING, length


def test_lengths_that_lie_neither_loop_nor_raise() -> None:
    for lie in (0, 1, 15, 17, 1 << 31):
        assert read(lie.to_bytes(4, "little") + link_message(10)[4:], INTEREST) is Hint.LOOK


def test_random_bytes_never_raise() -> None:
    seeded = random.Random(911)
    for _ in range(5_000):
        data = bytearray(random.Random(seeded.random()).choice([link_message(10), neighbor_message(10, "10.0.0.1")]))
        for _ in range(seeded.randrange(8)):
            data[seeded.randrange(len(data))] = seeded.randrange(256)
        assert read(bytes(data[: seeded.randrange(len(data) + 1)]), INTEREST) in Hint
