"""What an interface is: the rules that tell a wall socket from a tunnel, a container and a hot-spot; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from agent.model import LinkKind

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x8, 0x40, 0x10000
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772

TUNNEL_KINDS = frozenset(
    ("tun", "wireguard", "vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "ipip", "sit", "ip6tnl", "vti")
)
TUNNEL_NAMES = ("tun*", "tap*", "wg*", "tailscale*", "zt*", "ppp*", "ipsec*", "vpn*", "nebula*", "utun*")
CONTAINER_NAMES = (
    "docker*",
    "br-*",
    "veth*",
    "virbr*",
    "vnet*",
    "lxc*",
    "lxd*",
    "cni*",
    "podman*",
    "flannel*",
    "cali*",
)
CONTAINER_KINDS = frozenset(("veth", "bridge", "ifb", "nlmon", "dummy"))
WIRED_NAMES = ("eth*", "en*", "lan*")
"""Names of real network cards. A veth that has one is the uplink of a device that itself runs in a container."""
STACKED_KINDS = frozenset(("vlan", "macvlan", "ipvlan"))
"""Links on top of another one."""
WIRED_KINDS = frozenset(("vlan", "bond", "team", "macvlan", "ipvlan", "hsr"))


@dataclass(frozen=True, slots=True)
class Link:
    """One interface as the kernel has it, reduced to what matters here."""

    index: int
    name: str
    kind: LinkKind
    usable: bool
    """UP, LOWER_UP and RUNNING: address and route of a pulled cable still look fine (failure 3)."""
    carrier_downs: int = 0
    """How often carrier was lost so far: tells a bounce that nobody saw (failures 1, 9)."""
    vlan: int | None = None
    wires: tuple[int, ...] = ()
    """Indexes of the network cards that its frames pass: itself, the ports of a bridge or bond, the card of a VLAN."""
    portable: bool = False
    """Matches `portable_interfaces` or `ignore_interfaces`: carries traffic, is never evidence."""

    @property
    def tells_place(self) -> bool:
        """Whether what is seen here says where the device is plugged in (failure 7: tunnels never do)."""
        return self.kind in (LinkKind.ETHERNET, LinkKind.WIFI) and not self.portable


@dataclass(frozen=True, slots=True)
class RawLink:
    """The fields of one RTM_NEWLINK that the rules below need."""

    index: int
    name: str
    flags: int
    type: int = ARPHRD_ETHER
    info: str = ""
    """IFLA_INFO_KIND: `veth`, `bridge`, `tun`, ...; empty for hardware."""
    master: int = 0
    carrier_downs: int = 0
    vlan: int | None = None
    lower: int = 0
    """Index of the link that it stands on (IFLA_LINK); 0: none, or in another namespace."""
    wireless: bool = False

    @property
    def usable(self) -> bool:
        """Failure 3: all three flags, or nothing gets out."""
        wanted = IFF_UP | IFF_LOWER_UP | IFF_RUNNING
        return self.flags & wanted == wanted


def matches(name: str, globs: Iterable[str]) -> bool:
    """Tell whether a name matches one of the shell patterns."""
    return any(fnmatchcase(name, glob) for glob in globs)


def kind_of(link: RawLink, portable: Iterable[str] = ()) -> LinkKind:
    """Classify one interface by itself; bridges need `classify`, which knows their ports."""
    wired_name = link.type == ARPHRD_ETHER and matches(link.name, WIRED_NAMES)
    rules = (
        (link.flags & IFF_LOOPBACK or link.type == ARPHRD_LOOPBACK, LinkKind.LOOPBACK),
        (matches(link.name, portable), LinkKind.CELLULAR),
        (link.wireless, LinkKind.WIFI),
        # Such a veth or macvlan is the device's own uplink, seen from inside a container.
        (wired_name and link.info in ("", "veth", "macvlan", "ipvlan"), LinkKind.ETHERNET),
        (link.info in TUNNEL_KINDS or matches(link.name, TUNNEL_NAMES), LinkKind.TUNNEL),
        (link.info in CONTAINER_KINDS or matches(link.name, CONTAINER_NAMES), LinkKind.CONTAINER),
        (link.type == ARPHRD_ETHER and (not link.info or link.info in WIRED_KINDS), LinkKind.ETHERNET),
    )
    return next((kind for holds, kind in rules if holds), LinkKind.OTHER)


def classify(raw: Iterable[RawLink], portable: Iterable[str], ignored: Iterable[str]) -> tuple[Link, ...]:
    """Turn kernel links into `Link`s, ordered by index.

    A bridge is ethernet if a network card is one of its ports, and usable only while such a port is: the ports of
    its containers keep a bridge "up" after the cable was pulled (failure 3).
    """
    portable, ignored, links = tuple(portable), tuple(ignored), sorted(raw, key=lambda link: link.index)
    kinds = {link.index: kind_of(link, portable) for link in links}
    links_with_cards: dict[int, list[RawLink]] = {}
    for link in links:
        if link.master and kinds[link.index] in (LinkKind.ETHERNET, LinkKind.WIFI):
            links_with_cards.setdefault(link.master, []).append(link)
    wires = _wires(links, links_with_cards)
    return tuple(
        _link(link, kinds[link.index], links_with_cards.get(link.index, []), portable + ignored, wires[link.index])
        for link in links
    )


def _wires(links: list[RawLink], ports: Mapping[int, list[RawLink]]) -> dict[int, tuple[int, ...]]:
    """Return the cards under each link, as far down as two steps: a VLAN of a bond of cards."""
    known = {link.index: link for link in links}

    def below(link: RawLink) -> tuple[int, ...]:
        if link.index in ports:
            return tuple(port.index for port in ports[link.index])
        return (link.lower,) if link.info in STACKED_KINDS and link.lower in known else (link.index,)

    first = {link.index: below(link) for link in links}
    return {index: tuple(card for one in first[index] for card in first[one]) for index in first}


def _link(
    link: RawLink, kind: LinkKind, ports: list[RawLink], without_place: tuple[str, ...], wires: tuple[int, ...]
) -> Link:
    usable, downs = link.usable, link.carrier_downs
    if link.info == "bridge" and ports and not matches(link.name, CONTAINER_NAMES):
        kind = LinkKind.ETHERNET
        usable = usable and any(port.usable for port in ports)
        downs += sum(port.carrier_downs for port in ports)
    return Link(
        index=link.index,
        name=link.name,
        kind=kind,
        usable=usable,
        carrier_downs=downs,
        vlan=link.vlan,
        wires=wires,
        portable=matches(link.name, without_place),
    )
