"""Hand-built netlink messages and snapshots: the kernel's side of the pure tests."""

from __future__ import annotations

import socket
import struct

from agent.network.links import IFF_LOWER_UP, IFF_RUNNING, IFF_UP, RawLink
from agent.network.snapshot import Address, Dump, Neighbor, Route, Snapshot, build

ON = IFF_UP | IFF_RUNNING | IFF_LOWER_UP
OFFICE_MAC, HOME_MAC, BACKUP_MAC = "02:0f:f1:ce:00:01", "02:00:40:3e:00:01", "02:ba:c0:0b:00:01"
REGISTRAR = "192.0.2.10"


def attribute(kind: int, payload: bytes) -> bytes:
    """One rtattr with its padding."""
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def message(kind: int, body: bytes) -> bytes:
    """One netlink message."""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def link_message(index: int, *, family: int = 0, flags: int = ON, kind: int = 16, losses: int | None = None) -> bytes:
    """RTM_NEWLINK, as the multicast group brings it; `losses` is its IFLA_CARRIER_DOWN_COUNT."""
    body = struct.pack("=BxHiII", family, 1, index, flags, 0) + attribute(3, b"eth0\0")
    return message(kind, body + (b"" if losses is None else attribute(48, struct.pack("=I", losses))))


def address_message(index: int, address: str, *, kind: int = 20, cstamp: int = 1, tstamp: int = 1) -> bytes:
    """RTM_NEWADDR with its IFA_CACHEINFO."""
    body = struct.pack("=BBBBi", socket.AF_INET, 24, 0, 0, index) + attribute(2, socket.inet_aton(address))
    return message(kind, body + attribute(6, struct.pack("=IIII", 1800, 3600, cstamp, tstamp)))


def neighbor_message(
    index: int, address: str, *, family: int = socket.AF_INET, kind: int = 28, state: int = 2
) -> bytes:
    """RTM_NEWNEIGH or, with 29, RTM_DELNEIGH."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return message(kind, struct.pack("=BxxxiHBB", family, index, state, 0, 1) + attribute(1, packed))


def ethernet(index: int = 10, name: str = "eth0", *, flags: int = ON, downs: int = 0, info: str = "") -> RawLink:
    """A network card."""
    return RawLink(index=index, name=name, flags=flags, info=info, carrier_downs=downs)


def dump(
    *,
    source: str = "192.168.1.50",
    gateway: str | None = "192.168.1.1",
    mac: str | None = OFFICE_MAC,
    link: RawLink | None = None,
    route: bool = True,
    confirmed_ago: float = 0.0,
    deprecated: bool = False,
    more_links: tuple[RawLink, ...] = (),
    more_addresses: tuple[Address, ...] = (),
    more_uplinks: tuple[Route, ...] = (),
    more_neighbors: tuple[Neighbor, ...] = (),
) -> Dump:
    """One reading of a device with one cable in."""
    link = link or ethernet()
    prefix = 64 if ":" in source else 24
    destination = "2001:db8:c0::10" if ":" in source else REGISTRAR
    routes = (Route(destination, link.index, source, gateway),) if route else ()
    neighbors = (Neighbor(link.index, gateway, mac, confirmed_ago),) if mac and gateway else ()
    return Dump(
        links=(link, *more_links),
        addresses=(Address(link.index, source, prefix, deprecated=deprecated), *more_addresses),
        neighbors=(*neighbors, *more_neighbors),
        sip=routes,
        api=routes,
        uplinks=(*routes, *more_uplinks),
    )


def office(**changes: object) -> Snapshot:
    """The device in the office, or wherever the changes put it."""
    return build(dump(**changes))  # type: ignore[arg-type]


def unplugged(downs: int = 1) -> Snapshot:
    """The cable is out; address and route look as before (failure 3), the kernel has dropped the neighbor."""
    return office(link=ethernet(flags=IFF_UP, downs=downs), mac=None)
