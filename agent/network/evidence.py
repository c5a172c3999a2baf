"""Which gateway hardware addresses may be believed: learned on this very connection, not before a loss; pure."""

from __future__ import annotations

from dataclasses import dataclass

from agent.model import Path
from agent.network.absence import Absence
from agent.network.hints import gateway_key
from agent.network.snapshot import EMPTY, Snapshot

TICK = 0.02
"""Seconds of rounding in the kernel's ages, which are counted in hundredths."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How a snapshot came about."""

    asked_at: float
    """Monotonic time before the kernel was asked: its ages count from then at the earliest."""
    absent: frozenset[Absence] = frozenset()
    """What the messages heard before the reading prove (`absence.py`)."""


class GatewayEvidence:
    """Remembers the hardware address of each interface's gateway for as long as the link has not been away.

    After a loss of carrier the cable may be somewhere else. An entry of the neighbor table is believed again only if

    * it was seen absent since: in a snapshot made while the link was away or after it, or in the order of messages
      (the kernel drops its entries at a loss of carrier since Linux 4.20, so that this is what happens in practice);
    * or the neighbor proved itself after the first snapshot with the link back. Entries outlive a loss behind a
      bridge, and where carrier bounced faster than the kernel's own handler runs.

    Nothing that may have happened before the loss counts, however short the time between: in doubt the address is
    unknown, and the gateway is asked.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        """(interface, gateway) -> hardware address."""
        self._suspect: dict[str, float] = {}
        """Interface -> monotonic time until which it may have been away."""
        self._absent: set[tuple[str, str]] = set()
        """(interface, gateway) seen unresolved since its interface became suspect."""
        self._left_over: dict[str, frozenset[str]] = {}
        """Interface -> neighbors that were still resolved when the link was seen away; any other one is news."""
        self._last = EMPTY

    def update(self, snapshot: Snapshot, now: float, seen: Seen | None = None) -> frozenset[str]:
        """Take in a snapshot; return the interfaces whose link has been away since the one before."""
        away = frozenset(name for name in self._names(snapshot) if self._was_away(name, snapshot))
        for name in away:
            self.distrust(name, now)
            link = snapshot.link(name)
            if link is None or not link.usable:
                resolved = (address for index, address in snapshot.neighbors if link and index == link.index)
                self._left_over[name] = frozenset(resolved)
        for name in self._suspect.keys() - away:
            old = self._last.link(name)
            if old is None or not old.usable:  # back: until now it may have been away
                self._suspect[name] = now
        for path in gateways(snapshot):
            self._learn(snapshot, path, seen or Seen(asked_at=now))
        self._last = snapshot
        return away

    def distrust(self, interface: str, now: float) -> None:
        """Believe nothing about an interface until it is proven anew."""
        self._suspect[interface] = now
        self._left_over.pop(interface, None)
        self._known = {key: mac for key, mac in self._known.items() if key[0] != interface}
        self._absent = {key for key in self._absent if key[0] != interface}

    def distrust_all(self, now: float) -> None:
        """Believe nothing: the device slept (failure 10)."""
        for name in {key[0] for key in self._known} | {link.name for link in self._last.links} | set(self._suspect):
            self.distrust(name, now)

    def mac(self, interface: str, gateway: str | None) -> str | None:
        """Return the trusted hardware address of a gateway, None while there is none."""
        return self._known.get((interface, gateway)) if gateway else None

    def _names(self, snapshot: Snapshot) -> set[str]:
        return {link.name for link in (*snapshot.links, *self._last.links) if link.tells_place}

    def _was_away(self, name: str, snapshot: Snapshot) -> bool:
        """Away now, replaced by another device of that name, or bounced between two snapshots (failure 1)."""
        old, new = self._last.link(name), snapshot.link(name)
        if new is None or not new.usable:
            return True
        if old is None:
            return False
        names = {one.ssid for one in (self._last.wifi.get(old.index), snapshot.wifi.get(new.index)) if one}
        another_network = len(names - {None}) > 1  # some drivers change it without a loss of carrier
        return another_network or (old.index, old.carrier_downs) != (new.index, new.carrier_downs)

    def _learn(self, snapshot: Snapshot, path: Path, seen: Seen) -> None:
        gateway = snapshot.gateway(path)
        if gateway is None:
            return
        key = (path.interface, gateway)
        neighbor = snapshot.neighbors.get((path.ifindex, gateway))
        since = self._suspect.get(path.interface)
        if neighbor is None:
            # A neighbor that is being asked again, or was forgotten, is no news; only its return is judged.
            if since is not None:
                self._absent.add(key)
            return
        # The age is of a moment after `asked_at`, and rounded down: this is the earliest that it can mean.
        confirmed_at = seen.asked_at - neighbor.confirmed_ago - TICK
        if since is None or confirmed_at > since or self._is_news(snapshot, path, gateway, seen.absent):
            self._known[key] = neighbor.mac

    def _is_news(self, snapshot: Snapshot, path: Path, gateway: str, absent: frozenset[Absence]) -> bool:
        """Whether the entry was seen absent after the loss, hence was made after it."""
        link, left_over = snapshot.link(path.interface), self._left_over.get(path.interface)
        return (
            (path.interface, gateway) in self._absent
            or (left_over is not None and gateway not in left_over)
            or (link is not None and (*gateway_key(path.ifindex, gateway), link.carrier_downs) in absent)
        )


def gateways(snapshot: Snapshot) -> tuple[Path, ...]:
    """Return one path for each (interface, gateway) whose hardware address would be evidence."""
    found: dict[tuple[str, str], Path] = {}
    for path in (snapshot.sip, *snapshot.uplinks):
        link = snapshot.link(path.interface) if path else None
        gateway = snapshot.gateway(path) if path else None
        if path and link and link.tells_place and gateway:
            found.setdefault((path.interface, gateway), path)
    return tuple(found.values())
