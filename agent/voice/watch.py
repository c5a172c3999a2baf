"""Hints and truth about the path for life without the agent: a raw netlink socket, no pyroute2 (memory)."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agent.voice.registration.moves import Seen

GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE (rtnetlink(7)); a lost carrier shows on LINK alone."""
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWROUTE, _RTM_GETROUTE = 16, 18, 24, 26
_NLMSG_DONE, _NLM_F_REQUEST, _NLM_F_DUMP = 3, 1, 0x300
_IFF_UP, _IFLA_CARRIER, _IFLA_CARRIER_CHANGES = 1, 33, 35
_RTA_DST, _RTA_OIF, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_MULTIPATH = 1, 4, 6, 7, 9
_UNICAST: Final = 1
_MAIN_TABLE: Final = 254
_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_LINK: Final = struct.Struct("=BxHiII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_NEXT_HOP: Final = struct.Struct("=HBBi")


@dataclass(frozen=True, slots=True)
class Way:
    """A way toward the registrar: the kernel's own, or one that its sockets must be tied to."""

    seen: Seen
    tied: bool = False


class Hints:
    """A netlink socket that is readable when the network may have changed; what it says is not looked at."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, GROUPS))

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return self._socket.fileno()

    def drain(self) -> None:
        """Read everything away; an overrun (ENOBUFS, failure 1) is a hint like any other."""
        while True:
            try:
                self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def look(destination: str) -> Seen | None:
    """Return how the kernel would reach this address now, over a link that has carrier (failure 3), or None."""
    route = _get_route(destination)
    if route is None:
        return None
    index, source = route
    link = _link(index)
    return Seen(link.name, source, destination, link.carrier_changes) if link is not None and link.carrier else None


def ways(destination: str) -> list[Way]:
    """Return every way that could carry a packet there now, the kernel's own first, then by length and metric.

    A route over a link without carrier is none, even where the kernel would still use it (failure 3).
    """
    first = look(destination)
    found = [Way(first)] if first is not None else []
    for index in _interfaces_toward(destination):
        route = _get_route(destination, index)
        link = _link(index)
        if route is None or link is None or not link.carrier:
            continue
        if all(way.seen.interface != link.name for way in found):
            found.append(Way(Seen(link.name, route[1], destination, link.carrier_changes), tied=True))
    return found


def has_carrier(interface: str) -> bool:
    """Return whether this link could carry anything now."""
    try:
        link = _link(socket.if_nametoindex(interface))
    except OSError:
        return False
    return link is not None and link.carrier


@dataclass(frozen=True, slots=True)
class _Link:
    name: str
    carrier: bool
    carrier_changes: int


def _link(index: int) -> _Link | None:
    """Ask the kernel about a link (RTM_GETLINK): sysfs may be that of another network namespace, or not be there."""
    try:
        name = socket.if_indextoname(index)
    except OSError:
        return None
    for kind, answer in _ask(_RTM_GETLINK, _LINK.pack(0, 0, index, 0, 0), _NLM_F_REQUEST):
        if kind != _RTM_NEWLINK:
            return None
        _, _, _, flags, _ = _LINK.unpack_from(answer)
        attributes = dict(_attributes(answer, _LINK.size))
        carrier = bool(flags & _IFF_UP) and attributes.get(_IFLA_CARRIER, b"\1")[0] == 1
        (changes,) = struct.unpack("=I", attributes.get(_IFLA_CARRIER_CHANGES, bytes(4)))
        return _Link(name, carrier, changes)
    return None


def _get_route(destination: str, interface: int = 0) -> tuple[int, str] | None:
    """Ask the kernel for the route (RTM_GETROUTE), over one interface if given: interface index and source."""
    address = ipaddress.ip_address(destination)
    body = _route(address, address.max_prefixlen)
    body += _attribute(_RTA_DST, address.packed)
    if interface:
        body += _attribute(_RTA_OIF, struct.pack("=I", interface))
    for kind, answer in _ask(_RTM_GETROUTE, body, _NLM_F_REQUEST):
        if kind != _RTM_NEWROUTE:
            return None
        attributes = dict(_attributes(answer, _ROUTE.size))
        if _RTA_OIF in attributes and _RTA_PREFSRC in attributes:
            (index,) = struct.unpack("=I", attributes[_RTA_OIF])
            return index, str(ipaddress.ip_address(attributes[_RTA_PREFSRC]))
    return None


def _interfaces_toward(destination: str) -> list[int]:
    """Return the interfaces of all routes of the main table that lead there, the best route first."""
    address = ipaddress.ip_address(destination)
    found: list[tuple[int, int, int]] = []
    for kind, answer in _ask(_RTM_GETROUTE, _route(address, 0), _NLM_F_REQUEST | _NLM_F_DUMP):
        _, length, _, _, table, _, _, type_, _ = _ROUTE.unpack_from(answer)
        if (kind, table, type_) != (_RTM_NEWROUTE, _MAIN_TABLE, _UNICAST):
            continue
        attributes = dict(_attributes(answer, _ROUTE.size))
        network = attributes.get(_RTA_DST, bytes(len(address.packed)))
        if address not in ipaddress.ip_network((network, length)):
            continue
        (metric,) = struct.unpack("=I", attributes.get(_RTA_PRIORITY, bytes(4)))
        found += [(-length, metric, index) for index in _outgoing(attributes)]
    return [index for _, _, index in sorted(found)]


def _outgoing(attributes: dict[int, bytes]) -> Iterator[int]:
    """Yield the interfaces of a route: one, or one of each of several next hops."""
    if _RTA_OIF in attributes:
        yield struct.unpack("=I", attributes[_RTA_OIF])[0]
    hops, offset = attributes.get(_RTA_MULTIPATH, b""), 0
    while offset + _NEXT_HOP.size <= len(hops):
        length, _, _, index = _NEXT_HOP.unpack_from(hops, offset)
        yield index
        offset += max(_NEXT_HOP.size, (length + 3) & ~3)


def _route(address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    return _ROUTE.pack(family, length, 0, 0, 0, 0, 0, 0, 0)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value


def _attributes(message: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    while offset + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, offset)
        if length < _ATTRIBUTE.size:
            return
        yield kind, message[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def _ask(kind: int, body: bytes, flags: int) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of every message of the kernel's answer; nothing when it cannot be asked."""
    request = _HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(1.0)
        try:
            netlink.send(request)
            while True:
                answer, offset = netlink.recv(65536), 0
                while offset + _HEADER.size <= len(answer):
                    length, found, *_ = _HEADER.unpack_from(answer, offset)
                    if found == _NLMSG_DONE or length < _HEADER.size:
                        return
                    yield found, answer[offset + _HEADER.size : offset + length]
                    offset += (length + 3) & ~3
                if not flags & _NLM_F_DUMP:
                    return
        except OSError:
            return
