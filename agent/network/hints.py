"""May this netlink message be ignored? A few bytes are looked at, nothing is trusted, doubt means no; pure."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct("=IHHII")
LINK = struct.Struct("=BxHi")
NEIGHBOR = struct.Struct("=BxxxiHBB")
ATTRIBUTE = struct.Struct("=HH")

RTM_NEWLINK, RTM_DELLINK = 16, 17
RTM_NEWNEIGH, RTM_DELNEIGH = 28, 29
NDA_DST = 1
NLA_TYPE_MASK = 0x3FFF
AF_BRIDGE = 7


class Hint(enum.IntEnum):
    """What one datagram of the kernel asks for; the greater wins."""

    NOTHING = 0
    LOOK = 1
    """Something may have changed: read again when convenient."""
    URGENT = 2
    """It is about a link in use or its router: read again now, whatever else is going on."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What is looked after at the moment."""

    links: frozenset[int] = frozenset()
    """Indexes of the links of the paths in use."""
    gateways: frozenset[tuple[int, bytes]] = frozenset()
    """(ifindex, packed address) of the routers whose hardware address is evidence."""


def gateway_key(ifindex: int, address: str) -> tuple[int, bytes]:
    """Return a router as `Interest.gateways` holds it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ifindex, socket.inet_pton(family, address)


def read(data: bytes | memoryview, interest: Interest) -> Hint:
    """Return the strongest hint of one datagram, which may hold several messages; never raises."""
    strongest, offset, end = Hint.NOTHING, 0, len(data)
    while offset < end and strongest is not Hint.URGENT:
        if end - offset < HEADER.size:
            return max(strongest, Hint.LOOK)  # truncated: there was something
        length, kind, _, _, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > end:
            return max(strongest, Hint.LOOK)  # a length that lies
        body = memoryview(data)[offset + HEADER.size : offset + length]
        strongest = max(strongest, _read_one(kind, body, interest))
        offset += (length + 3) & ~3
    return strongest


def _read_one(kind: int, body: memoryview, interest: Interest) -> Hint:
    if kind in (RTM_NEWNEIGH, RTM_DELNEIGH):
        return _read_neighbor(body, interest)
    if kind in (RTM_NEWLINK, RTM_DELLINK):
        if len(body) < LINK.size:
            return Hint.LOOK
        family, _, index = LINK.unpack_from(body)
        # Failure 7: bridge ports of containers speak in their own family; the link itself is reported apart.
        if family == AF_BRIDGE:
            return Hint.NOTHING
        return Hint.URGENT if index in interest.links else Hint.LOOK
    # Addresses, routes, rules, and whatever the kernel may add: the snapshot decides (failure 4).
    return Hint.LOOK


def _read_neighbor(body: memoryview, interest: Interest) -> Hint:
    """Only the routers that are evidence count: a busy LAN reports hundreds of neighbors that concern nobody."""
    if len(body) < NEIGHBOR.size:
        return Hint.LOOK
    family, index, _, _, _ = NEIGHBOR.unpack_from(body)
    if family == AF_BRIDGE:
        return Hint.NOTHING  # failure 7: forwarding entries of container bridges
    offset = NEIGHBOR.size
    while offset + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if length < ATTRIBUTE.size or offset + length > len(body):
            return Hint.LOOK
        if kind == NDA_DST:
            address = bytes(body[offset + ATTRIBUTE.size : offset + length])
            return Hint.URGENT if (index, address) in interest.gateways else Hint.NOTHING
        offset += (length + 3) & ~3
    return Hint.LOOK


def messages(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (type, body) of each message of a datagram; raise ValueError where a length lies."""
    view, offset = memoryview(data), 0
    while offset < len(view):
        if len(view) - offset < HEADER.size:
            raise ValueError("truncated message")
        length, kind, _, _, _ = HEADER.unpack_from(view, offset)
        if length < HEADER.size or offset + length > len(view):
            raise ValueError("a length that lies")
        yield kind, view[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes(body: memoryview, offset: int = 0) -> Iterator[tuple[int, memoryview]]:
    """Yield (type without its flags, payload) of each attribute; raise ValueError where a length lies."""
    while offset < len(body):
        if len(body) - offset < ATTRIBUTE.size:
            raise ValueError("truncated attribute")
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if length < ATTRIBUTE.size or offset + length > len(body):
            raise ValueError("a length that lies")
        yield kind & NLA_TYPE_MASK, body[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
