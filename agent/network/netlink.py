"""The kernel's two doors: a socket that only hints, and a separate one on which everything is read (pyroute2)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

from agent.model import SOMEWHERE
from agent.network.absence import Absences
from agent.network.hints import Hint, Interest, read
from agent.network.links import IFF_LOOPBACK, RawLink
from agent.network.snapshot import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_TENTATIVE,
    NUD_RESOLVED,
    Address,
    Dump,
    Neighbor,
    Route,
)

log = logging.getLogger(__name__)

# RTMGRP_LINK, NEIGH, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, IPV6_IFADDR, IPV6_ROUTE, IPV6_RULE (bit 18, group 19)
GROUPS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000
RECEIVE_BUFFER = 1 << 20
"""Bytes: some seconds of a container engine's churn."""
BATCH = 256
"""Datagrams read in one go before the event loop gets its turn again."""
READ_TIMEOUT = 2.0
"""Seconds for one reading, which takes 2-5 ms: beyond it the socket is broken and is made anew."""
RTEXT_FILTER_SKIP_STATS = 1 << 3
TICKS = 100.0
"""USER_HZ: cache times of neighbors are counted in it."""
MAX_UPLINKS = 8
"""Route lookups for links off the path; nobody has more wall sockets."""
NEVER = 1e9


class Hints:
    """Calls `on_hint` when something may have changed, and `on_overrun` when the kernel dropped messages.

    A plain socket on purpose: 10,000 messages a second cost a few percent of a core unparsed, more than a whole one
    as objects. Only a datagram that really comes from the kernel counts. A context manager; needs a running loop.
    """

    def __init__(self, on_hint: Callable[[Hint], None], on_overrun: Callable[[], None]) -> None:
        self._interest = Interest()
        self.absences = Absences()
        """What the order of the messages proves; ask before a reading, not after."""
        self._on_hint = on_hint
        self._on_overrun = on_overrun
        self._buffer = bytearray(1 << 16)
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.bind((0, GROUPS))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._read)

    @property
    def interest(self) -> Interest:
        """What is looked after; set it after every snapshot."""
        return self._interest

    @interest.setter
    def interest(self, interest: Interest) -> None:
        self._interest = interest
        self.absences.follow(interest.gateways)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def shrink(self, size: int) -> None:
        """Make the receive buffer small; for tests of failure 1."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _read(self) -> None:
        strongest = Hint.NOTHING
        view = memoryview(self._buffer)
        for _ in range(BATCH):
            try:
                size, (sender, _) = self._socket.recvfrom_into(self._buffer)
            except BlockingIOError:
                self.absences.drained()
                break
            except OSError as error:
                # Failure 1: ENOBUFS is reported once and the socket goes on. What was lost is unknown (S12), so
                # everything is read again; what is still queued is drained by the loop.
                if error.errno != errno.ENOBUFS:
                    raise
                self._on_overrun()
                self.absences.overrun()
                strongest = Hint.URGENT
                continue
            if sender == 0 and (hint := read(view[:size], self._interest)) is not Hint.NOTHING:
                strongest = max(strongest, hint)
                self.absences.take(view[:size])
        if strongest is not Hint.NOTHING:
            self._on_hint(strongest)


def _light_pyroute2() -> ModuleType:
    """Import AsyncIPRoute's module without the package's own __init__.

    `pyroute2/__init__` imports databases, nftables and WireGuard: 80 ms and 13 MiB; with an empty stand-in for the
    package, which leads to the same folder, it is 44 ms and 7 MiB (measured, Python 3.11, pyroute2 0.9.7).
    """
    import sys

    spec = find_spec("pyroute2")
    if "pyroute2" not in sys.modules and spec and spec.submodule_search_locations:
        stand_in = ModuleType("pyroute2")
        stand_in.__path__ = list(spec.submodule_search_locations)
        stand_in.__spec__ = spec
        sys.modules["pyroute2"] = stand_in
    return import_module("pyroute2.iproute.linux")


class Reader:
    """Reads links, addresses, neighbors and routes on a socket of its own, which joins no group and cannot overrun.

    A socket object that failed is thrown away, for pyroute2 0.9 latches its error (failure 1).
    """

    def __init__(self) -> None:
        self._linux = _light_pyroute2()
        self._ipr: Any = None

    def close(self) -> None:
        """Close the socket; the next reading opens another one."""
        if self._ipr is not None:
            # pyroute2 0.9.7 raises AttributeError from close() when its transport never came up.
            with contextlib.suppress(OSError, AttributeError):
                self._ipr.close()
            self._ipr = None

    async def read(self, sip: Iterable[str], api: Iterable[str]) -> Dump:
        """Read everything, with the routes to these addresses; raise OSError or TimeoutError if it fails twice."""
        sip, api = tuple(sip) or tuple(SOMEWHERE.values()), tuple(api) or tuple(SOMEWHERE.values())
        try:
            return await self._read_in_time(sip, api)
        except Exception as error:  # noqa: BLE001 - whatever pyroute2 raises: struct, netlink, OS errors
            log.warning("Reading the network failed (%r): trying again on a new netlink socket.", error)
            self.close()
        try:
            return await self._read_in_time(sip, api)
        except (TimeoutError, OSError):
            self.close()
            raise
        except Exception as error:
            self.close()
            raise OSError(errno.EBADMSG, f"the kernel's answer makes no sense: {error!r}") from error

    async def _read_in_time(self, sip: tuple[str, ...], api: tuple[str, ...]) -> Dump:
        # Not wait_for(): until Python 3.12 it swallows a cancellation that meets the answer, and `run` never ends.
        async with asyncio.timeout(READ_TIMEOUT):
            return await self._read(sip, api)

    async def _read(self, sip: tuple[str, ...], api: tuple[str, ...]) -> Dump:
        if self._ipr is None:
            self._ipr = self._linux.AsyncIPRoute()
        links = [raw_link(one) async for one in await self._ipr.get_links(ext_mask=RTEXT_FILTER_SKIP_STATS)]
        addresses = [raw_address(one) async for one in await self._ipr.get_addr()]
        neighbors = [raw_neighbor(one) async for one in await self._ipr.get_neighbours()]
        routes = {address: await self._route(address) for address in dict.fromkeys(sip + api)}
        uplinks = [route async for route in self._uplinks(links, addresses)]
        return Dump(
            links=tuple(links),
            addresses=tuple(addresses),
            neighbors=tuple(one for one in neighbors if one),
            sip=tuple(route for address in sip if (route := routes[address])),
            api=tuple(route for address in api if (route := routes[address])),
            uplinks=tuple(uplinks),
        )

    async def _uplinks(self, links: list[RawLink], addresses: list[Address]) -> AsyncIterator[Route]:
        """Ask each running link with an address for its way to the world."""
        families = {(one.index, 6 if ":" in one.address else 4) for one in addresses}
        running = [link for link in links if link.usable and not link.flags & IFF_LOOPBACK and link.info != "veth"]
        running += [link for link in links if link.usable and link.info == "veth" and not link.master]
        for link in running[:MAX_UPLINKS]:
            for family, world in SOMEWHERE.items():
                if (link.index, family) in families and (route := await self._route(world, oif=link.index)):
                    yield route

    async def _route(self, address: str, **where: int) -> Route | None:
        """Return the route to one address, None where the kernel has none (unreachable, prohibited, ...)."""
        try:
            answers = await self._ipr.route("get", dst=address, **where)
        except self._linux.NetlinkError:
            return None
        return raw_route(answers[0], address) if answers else None


# --------------------------------------------------------------------------- one pyroute2 message -> one value


def raw_link(message: Any) -> RawLink:
    """Return the fields of an RTM_NEWLINK that matter."""
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") if info else None) or ""
    data = info.get_attr("IFLA_INFO_DATA") if kind == "vlan" else None
    name = message.get_attr("IFLA_IFNAME") or ""
    return RawLink(
        index=message["index"],
        name=name,
        flags=message["flags"],
        type=message["ifi_type"],
        info=kind,
        master=message.get_attr("IFLA_MASTER") or 0,
        carrier_downs=message.get_attr("IFLA_CARRIER_DOWN_COUNT") or 0,
        vlan=data.get_attr("IFLA_VLAN_ID") if data else None,
        lower=0 if message.get_attr("IFLA_LINK_NETNSID") is not None else message.get_attr("IFLA_LINK") or 0,
        wireless=_is_wireless(name),
    )


def _is_wireless(name: str) -> bool:
    folder = FilePath("/sys/class/net", os.fspath(name))
    return bool(name) and ((folder / "phy80211").exists() or (folder / "wireless").exists())


def raw_address(message: Any) -> Address:
    """Return the fields of an RTM_NEWADDR that matter; lifetimes do not (failure 4)."""
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    return Address(
        index=message["index"],
        address=message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS") or "",
        prefix=message["prefixlen"],
        deprecated=bool(flags & IFA_F_DEPRECATED),
        tentative=bool(flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)),
    )


def raw_neighbor(message: Any) -> Neighbor | None:
    """Return a neighbor whose hardware address was learned, None for every other entry."""
    address, mac = message.get_attr("NDA_DST"), message.get_attr("NDA_LLADDR")
    if not address or not mac or not message["state"] & NUD_RESOLVED:
        return None
    times = message.get_attr("NDA_CACHEINFO") or {}
    ago = times.get("ndm_confirmed")
    return Neighbor(
        index=message["ifindex"],
        address=address,
        mac=mac.lower(),
        confirmed_ago=NEVER if ago is None else ago / TICKS,
    )


def raw_route(message: Any, destination: str) -> Route:
    """Return the fields of the answer to an RTM_GETROUTE."""
    return Route(
        destination=destination,
        index=message.get_attr("RTA_OIF") or 0,
        source=message.get_attr("RTA_PREFSRC"),
        gateway=message.get_attr("RTA_GATEWAY") or (message.get_attr("RTA_VIA") or {}).get("addr"),
        type=message["type"],
    )
