"""Which routers had no hardware address since their link was last away, told by the order of messages; pure.

A snapshot cannot tell "learned again a moment after the loss" from "still there": the kernel's ages are rounded. Its
messages can, for a socket gets them in the order in which they were made: a loss flushes the neighbors (RTM_DELNEIGH)
and is then told (RTM_NEWLINK), and what comes into the table afterwards is news.
"""

from __future__ import annotations

import socket
import struct

from agent.network.hints import (
    LINK,
    NDA_DST,
    NEIGHBOR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    attributes,
    messages,
)
from agent.network.links import IFF_LOWER_UP, IFF_RUNNING, IFF_UP
from agent.network.snapshot import NUD_RESOLVED

IFLA_CARRIER_DOWN_COUNT = 48
LINK_FLAGS = struct.Struct("=I")
COUNTER = struct.Struct("=I")
USABLE = IFF_UP | IFF_LOWER_UP | IFF_RUNNING

Absence = tuple[int, bytes, int]
"""(ifindex, packed address of the router, the link's count of losses at the time)."""


class Absences:
    """Feed it every datagram in order; `since_loss` answers. Whatever makes no sense makes it forget, never believe."""

    def __init__(self) -> None:
        self._routers: frozenset[tuple[int, bytes]] = frozenset()
        self._losses: dict[int, int] = {}
        """Link -> its count of losses in its newest message."""
        self._gone: set[tuple[int, bytes]] = set()
        """Routers whose newest message says that there is no hardware address."""
        self._absent: set[tuple[int, bytes]] = set()
        """Routers that were gone at some time since the count of losses is what it is and the link was last away."""
        self._deaf = False

    def since_loss(self) -> frozenset[Absence]:
        """Return the routers that were absent after the loss with this count; one present later was learned later."""
        if self._deaf:
            return frozenset()
        return frozenset((index, address, self._losses[index]) for index, address in self._absent)

    def overrun(self) -> None:
        """Messages were lost (failure 1): what is still queued is from before the gap and tells nothing."""
        self._deaf = True

    def drained(self) -> None:
        """The queue is empty: after an overrun the kernel delivers again from here on."""
        if self._deaf:
            self.forget()
            self._deaf = False

    def forget(self) -> None:
        """Know nothing any more: an overrun, a suspend, a message that makes no sense."""
        self._losses.clear()
        self._gone.clear()
        self._absent.clear()

    def follow(self, routers: frozenset[tuple[int, bytes]]) -> None:
        """Look after these routers alone; what was known of others ends, for their messages are not heard any more."""
        self._routers = routers
        links = {index for index, _ in routers}
        self._losses = {index: losses for index, losses in self._losses.items() if index in links}
        self._gone &= routers
        self._absent &= routers

    def take(self, data: bytes | memoryview) -> None:
        """Take in one datagram; only the routers that are followed, and their links, matter."""
        if self._deaf:
            return
        try:
            for kind, body in messages(data):
                if kind in (RTM_NEWLINK, RTM_DELLINK):
                    self._link(kind, body)
                elif kind in (RTM_NEWNEIGH, RTM_DELNEIGH):
                    self._neighbor(kind, body)
        except (ValueError, struct.error):
            self.forget()

    def _link(self, kind: int, body: memoryview) -> None:
        family, _, index = LINK.unpack_from(body)
        if family != 0 or all(router[0] != index for router in self._routers):
            return
        counters = [value for name, value in attributes(body, LINK.size + 8) if name == IFLA_CARRIER_DOWN_COUNT]
        if kind == RTM_DELLINK or len(counters) != 1:
            self._losses.pop(index, None)
            self._gone = {one for one in self._gone if one[0] != index}
            self._absent = {one for one in self._absent if one[0] != index}
            return
        (flags,), (losses,) = LINK_FLAGS.unpack_from(body, LINK.size), COUNTER.unpack(counters[0])
        if flags & USABLE != USABLE or self._losses.get(index) != losses:
            # A loss, told as such or only counted: what was absent before it proves something only if it still is.
            self._absent = {one for one in self._absent if one[0] != index}
            self._absent |= {one for one in self._gone if one[0] == index}
        self._losses[index] = losses

    def _neighbor(self, kind: int, body: memoryview) -> None:
        family, index, state, _, _ = NEIGHBOR.unpack_from(body)
        addresses = [bytes(value) for name, value in attributes(body, NEIGHBOR.size) if name == NDA_DST]
        router = (index, addresses[0]) if addresses else (index, b"")
        if family not in (socket.AF_INET, socket.AF_INET6) or router not in self._routers:
            return
        if kind == RTM_NEWNEIGH and state & NUD_RESOLVED:
            self._gone.discard(router)
            return
        self._gone.add(router)
        if index in self._losses:
            self._absent.add(router)
