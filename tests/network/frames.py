"""LLDP frames put together by hand, byte by byte, as switches send them."""

from __future__ import annotations

import struct

MED = bytes.fromhex("0012bb")
IEEE_8021 = bytes.fromhex("0080c2")
SWITCH, PHONE, STATION = 1 << 2, 1 << 5, 1 << 7
CIVIC = bytes.fromhex(
    "025553"  # what: the client; US
    "0002656e"  # language
    "01024d41"  # MA
    "0207537566666f6c6b"  # county
    "0306426f73746f6e"  # Boston
    "0610436f6d6d6f6e7765616c746820417665"  # Commonwealth Ave
    "1303313233"  # 123
    "18053032323135"  # 02215
    "19024851"  # building HQ
    "1b0133"  # floor 3
    "1c04332e3134"  # room 3.14
)
"""The address that dnsmasq and lldpd were seen to send (facts, part 5)."""


def tlv(kind: int, value: bytes = b"") -> bytes:
    """Return one TLV."""
    return struct.pack("!H", kind << 9 | len(value)) + value


def frame(
    chassis: bytes = b"\x04\x02\x00\x00\x00\x00\x01",
    port: bytes = b"\x07ge1",
    ttl: int = 120,
    *more: bytes,
    capabilities: int | None = SWITCH,
) -> bytes:
    """Return an LLDPDU."""
    parts = [tlv(1, chassis), tlv(2, port), tlv(3, struct.pack("!H", ttl))]
    if capabilities is not None:
        parts.append(tlv(7, struct.pack("!HH", 0xFFFF, capabilities)))
    return b"".join((*parts, *more, tlv(0)))


def med(subtype: int, value: bytes) -> bytes:
    """Return a TLV of LLDP-MED."""
    return tlv(127, MED + bytes([subtype]) + value)


def med_switch(kind: int = 4) -> bytes:
    """Return the capabilities of a MED device; 4: network connectivity."""
    return med(1, struct.pack("!HB", 0x3F, kind))


def location(civic: bytes = CIVIC) -> bytes:
    """Return the civic location TLV."""
    return med(3, bytes([2, len(civic)]) + civic)
