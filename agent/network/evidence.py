"""Which gateway hardware addresses may be believed: learned on this very connection, not before a loss; pure."""

from __future__ import annotations

from agent.model import Path
from agent.network.snapshot import EMPTY, Snapshot

TICK = 0.02
"""Seconds of rounding in the kernel's ages, which are counted in hundredths."""


class GatewayEvidence:
    """Remembers the hardware address of each interface's gateway for as long as the link has not been away.

    After a loss of carrier the cable may be somewhere else. An entry of the neighbor table is believed again only if
    it was seen absent since, or if the neighbor proved itself after the loss; the kernel drops its entries at a loss
    of carrier (since Linux 4.20), so that in practice this takes one exchange with the gateway.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        """(interface, gateway) -> hardware address."""
        self._suspect: dict[str, float] = {}
        """Interface -> monotonic time at which it was last known to be away."""
        self._absent: set[tuple[str, str]] = set()
        """(interface, gateway) seen unresolved since its interface became suspect."""
        self._last = EMPTY
        self._last_at = float("-inf")

    def update(self, snapshot: Snapshot, now: float) -> frozenset[str]:
        """Take in a snapshot; return the interfaces whose link has been away since the one before."""
        away = frozenset(name for name in self._names(snapshot) if self._was_away(name, snapshot))
        for name in away:
            # A bounce between two snapshots happened after the one before; else the link is away right now.
            link = snapshot.link(name)
            self.distrust(name, self._last_at if link and link.usable else now)
        for path in gateways(snapshot):
            self._learn(snapshot, path, now)
        self._last, self._last_at = snapshot, now
        return away

    def distrust(self, interface: str, now: float) -> None:
        """Believe nothing about an interface until it is proven anew."""
        self._suspect[interface] = now
        self._known = {key: mac for key, mac in self._known.items() if key[0] != interface}
        self._absent = {key for key in self._absent if key[0] != interface}

    def distrust_all(self, now: float) -> None:
        """Believe nothing: the device slept (failure 10)."""
        for name in {key[0] for key in self._known} | {path.interface for path in gateways(self._last)}:
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
        return old is not None and (old.index, old.carrier_downs) != (new.index, new.carrier_downs)

    def _learn(self, snapshot: Snapshot, path: Path, now: float) -> None:
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
        if since is None or key in self._absent or now - neighbor.confirmed_ago > since + TICK:
            self._known[key] = neighbor.mac


def gateways(snapshot: Snapshot) -> tuple[Path, ...]:
    """Return one path for each (interface, gateway) whose hardware address would be evidence."""
    found: dict[tuple[str, str], Path] = {}
    for path in (snapshot.sip, *snapshot.uplinks):
        link = snapshot.link(path.interface) if path else None
        gateway = snapshot.gateway(path) if path else None
        if path and link and link.tells_place and gateway:
            found.setdefault((path.interface, gateway), path)
    return tuple(found.values())
