"""The networks that the device is plugged into: its own addresses there, and who counts as being on them (S9)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.config.settings import PageSettings

if TYPE_CHECKING:
    from agent.network.snapshot import Snapshot

LINK = "link"
"""Value of `page.listen`: every network card that tells a place."""

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """One of the device's own addresses on a real network card."""

    address: str
    network: IpNetwork
    interface: str

    @property
    def in_url(self) -> str:
        """The address as it stands in a URL (RFC 3986 3.2.2)."""
        return f"[{self.address}]" if ":" in self.address else self.address


def of_snapshot(snapshot: Snapshot) -> tuple[LinkAddress, ...]:
    """Return the addresses that neighbors can open: no tunnels, no containers, nothing that is link-local or going."""
    links = {link.index: link for link in snapshot.links if link.tells_place and link.usable}
    found = []
    for one in snapshot.addresses:
        address = ipaddress.ip_address(one.address)
        if one.index in links and not (one.tentative or one.deprecated or address.is_link_local):
            network = ipaddress.ip_network((address, one.prefix), strict=False)
            found.append(LinkAddress(one.address, network, links[one.index].name))
    return tuple(found)


class Links:
    """The newest truth about them; says when it changed."""

    def __init__(self, settings: PageSettings) -> None:
        self.mine: tuple[LinkAddress, ...] = ()
        """The device's own addresses on the link, whether the page listens there or not."""
        self._changed = asyncio.Event()
        self.use(settings)

    def use(self, settings: PageSettings) -> None:
        """Go by other settings, for those who are in already too."""
        self._listen = settings.listen if settings.enabled else ""
        self._others = tuple(ipaddress.ip_network(network) for network in settings.networks)
        self._changed.set()

    def see(self, snapshot: Snapshot) -> None:
        """Take what the network watcher read."""
        found = of_snapshot(snapshot)
        if found != self.mine:
            self.mine = found
            self._changed.set()

    def reconsider(self) -> None:
        """Wake whoever waits for a change: a PIN was set or removed."""
        self._changed.set()

    async def wait_change(self) -> None:
        """Return when something changed since the last call."""
        await self._changed.wait()
        self._changed.clear()

    def wanted(self) -> tuple[LinkAddress, ...]:
        """Return the addresses that `page.listen` names and the device has now."""
        if self._listen == LINK:
            return self.mine
        return tuple(one for one in self.mine if same_address(one.address, self._listen))

    def may(self, peer: str, local: str) -> bool:
        """Tell whether a peer is on the very network whose address of ours it reached, or in `page.networks`.

        Nobody may on an address where the page is not wanted: who came before that was decided goes too.
        """
        there = _address(peer)
        here = next((one for one in self.wanted() if same_address(one.address, local)), None)
        if there is None or here is None:
            return False
        others = (network for network in self._others if there.version == network.version)
        return there in here.network or any(there in network for network in others)

    def is_mine(self, host: str) -> bool:
        """Tell whether a host is an address of this device on the link."""
        return any(same_address(one.address, host) for one in self.mine)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def same_address(one: str, other: str) -> bool:
    """Tell whether two texts are the same IP address."""
    first = _address(one)
    return first is not None and first == _address(other)


def in_urls(addresses: Iterable[LinkAddress], port: int) -> tuple[str, ...]:
    """Return the URLs that open the page, IPv4 first: they are shorter to type."""
    ordered = sorted(addresses, key=lambda one: one.network.version)
    return tuple(f"https://{one.in_url}:{port}/" for one in ordered)
