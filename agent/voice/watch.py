"""Hints and truth about the path for life without the agent: a raw netlink socket, no pyroute2 (memory)."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import struct
from pathlib import Path as FilePath
from typing import Final

from agent.voice.moves import Seen

GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE (rtnetlink(7)); a lost carrier shows on LINK alone."""
_RTM_GETROUTE, _RTM_NEWROUTE, _NLM_F_REQUEST = 26, 24, 1
_RTA_DST, _RTA_OIF, _RTA_PREFSRC = 1, 4, 7
_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
_ATTRIBUTE: Final = struct.Struct("=HH")


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
    try:
        interface = socket.if_indextoname(index)
    except OSError:
        return None
    if not has_carrier(interface):
        return None
    return Seen(interface, source, destination, int(_read(interface, "carrier_changes") or 0))


def has_carrier(interface: str) -> bool:
    """Return whether this link could carry anything now."""
    return interface == "lo" or _read(interface, "carrier") == "1"


def _read(interface: str, name: str) -> str:
    with contextlib.suppress(OSError):
        return FilePath(f"/sys/class/net/{interface}/{name}").read_text(encoding="ascii").strip()
    return ""


def _get_route(destination: str) -> tuple[int, str] | None:
    """Ask the kernel for the route (RTM_GETROUTE): interface index and preferred source."""
    address = ipaddress.ip_address(destination)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    body = _ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address.packed), _RTA_DST) + address.packed
    request = _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(1.0)
        try:
            netlink.send(request)
            answer = netlink.recv(8192)
        except OSError:
            return None
    _, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _RTM_NEWROUTE:
        return None
    index, source = 0, ""
    offset = _HEADER.size + _ROUTE.size
    while offset + _ATTRIBUTE.size <= len(answer):
        length, name = _ATTRIBUTE.unpack_from(answer, offset)
        if length < _ATTRIBUTE.size:
            break
        value = answer[offset + _ATTRIBUTE.size : offset + length]
        if name == _RTA_OIF:
            (index,) = struct.unpack("=I", value)
        elif name == _RTA_PREFSRC:
            source = str(ipaddress.ip_address(value))
        offset += (length + 3) & ~3
    return (index, source) if index and source else None
