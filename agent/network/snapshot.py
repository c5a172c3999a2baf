"""What the kernel says about links, addresses, neighbors and routes at one moment, as one comparable value; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from agent.heard import Heard
from agent.model import LinkKind, Path
from agent.network.links import Link, RawLink, classify

IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_TENTATIVE = 0x08, 0x20, 0x40
NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE = 0x02, 0x04, 0x08, 0x10
NUD_RESOLVED = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE
"""Not NUD_PERMANENT: a static entry is configuration, it says the same in every place."""
RTN_UNICAST, RTN_LOCAL = 1, 2


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an interface, without its lifetimes.

    Failure 4: DHCP and router advertisements refresh lifetimes every few seconds (`cstamp != tstamp` in IFA_CACHEINFO).
    What is not in here cannot look like a change.
    """

    index: int
    address: str
    prefix: int
    deprecated: bool = False
    tentative: bool = False


@dataclass(frozen=True, slots=True)
class Neighbor:
    """One resolved neighbor."""

    index: int
    address: str
    mac: str
    confirmed_ago: float = 0.0
    """Seconds since the neighbor last proved that it is there; large if it never did."""


@dataclass(frozen=True, slots=True)
class Route:
    """The kernel's answer to one RTM_GETROUTE."""

    destination: str
    index: int
    source: str | None
    gateway: str | None
    type: int = RTN_UNICAST


@dataclass(frozen=True, slots=True)
class Wifi:
    """What a Wi-Fi link is connected to."""

    ssid: str | None = None
    bssid: str | None = None
    """Hardware address of the access point; None while there is none, or more than one."""


@dataclass(frozen=True, slots=True)
class Dump:
    """Everything that one reading brought, before it is judged."""

    links: tuple[RawLink, ...]
    addresses: tuple[Address, ...]
    neighbors: tuple[Neighbor, ...]
    sip: tuple[Route, ...]
    """Routes to the registrar's addresses, in order of preference."""
    api: tuple[Route, ...]
    uplinks: tuple[Route, ...]
    """Route to the world through each link that could be an uplink."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The network at one moment, canonical: equal values mean the same network."""

    links: tuple[Link, ...]
    addresses: tuple[Address, ...]
    sip: Path | None
    """Path to the registrar, on a usable link only."""
    api: Path | None
    uplinks: tuple[Path, ...]
    """How each link that tells a place would reach the world; usable links only."""
    neighbors: Mapping[tuple[int, str], Neighbor]
    """Resolved neighbors by (ifindex, address)."""
    wifi: Mapping[int, Wifi] = field(default_factory=dict)
    """What each Wi-Fi link that tells a place is connected to, by ifindex (`wifi.py`)."""
    heard: Mapping[int, Heard] = field(default_factory=dict)
    """What the network says on each link that tells a place, by ifindex (`lldp/ear.py`)."""

    def link(self, name: str) -> Link | None:
        """Return a link by its name."""
        return next((link for link in self.links if link.name == name), None)

    def subnet(self, path: Path) -> str | None:
        """Return the network of the path's source address, such as `192.168.1.0/24`."""
        for address in self.addresses:
            if (address.index, address.address) == (path.ifindex, path.source):
                return str(ipaddress.ip_network(f"{address.address}/{address.prefix}", strict=False))
        return None

    def gateway(self, path: Path) -> str | None:
        """Return the router of the path's link: the path's own, else (registrar on the LAN) the way to the world."""
        if path.gateway:
            return path.gateway
        return next((uplink.gateway for uplink in self.uplinks if uplink.ifindex == path.ifindex), None)


EMPTY = Snapshot(links=(), addresses=(), sip=None, api=None, uplinks=(), neighbors={})


def build(dump: Dump, portable: Iterable[str] = (), ignored: Iterable[str] = ()) -> Snapshot:
    """Construct the snapshot from one reading; the order of the kernel's answers does not matter."""
    links = classify(dump.links, portable, ignored)
    by_index = {link.index: link for link in links}
    addresses = {(address.index, address.address): address for address in dump.addresses}

    def first(routes: Iterable[Route]) -> Path | None:
        return next((path for route in routes if (path := usable_path(route, by_index, addresses))), None)

    uplinks = (usable_path(route, by_index, addresses) for route in dump.uplinks)
    return Snapshot(
        links=links,
        addresses=tuple(sorted(addresses.values(), key=lambda one: (one.index, one.address))),
        sip=first(dump.sip),
        api=first(dump.api),
        uplinks=tuple(
            sorted(
                (path for path in uplinks if path and by_index[path.ifindex].tells_place),
                key=lambda path: (path.interface, path.family),
            )
        ),
        neighbors={(one.index, one.address): one for one in dump.neighbors},
    )


def usable_path(route: Route, links: Mapping[int, Link], addresses: Mapping[tuple[int, str], Address]) -> Path | None:
    """Return the path of a route, or None where nothing would get out (failures 2, 3)."""
    link = links.get(route.index)
    if not link or not link.usable or not route.source or route.type not in (RTN_UNICAST, RTN_LOCAL):
        return None
    address = addresses.get((route.index, route.source))
    if address and address.tentative:
        return None
    family: Literal[4, 6] = 6 if ":" in route.destination else 4
    return Path(
        interface=link.name,
        ifindex=link.index,
        source=route.source,
        gateway=route.gateway,
        destination=route.destination,
        kind=LinkKind.LOOPBACK if route.type == RTN_LOCAL else link.kind,
        family=family,
        deprecated=bool(address and address.deprecated),
    )
