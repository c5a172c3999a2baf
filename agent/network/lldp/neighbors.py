"""Who was heard on which link, for as long as they said; bounded, pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from agent.network.lldp.frame import Neighbor

MAX_PER_LINK = 8
"""Neighbors remembered on one link: one is usual, two already mean that nothing is certain."""


@dataclass(frozen=True, slots=True)
class _Entry:
    neighbor: Neighbor
    until: float


class Neighbors:
    """Times are monotonic seconds; a link is its interface index."""

    def __init__(self) -> None:
        self._links: dict[int, dict[tuple[str, str], _Entry]] = {}

    def hear(self, link: int, neighbor: Neighbor, now: float) -> bool:
        """Take in what was heard; return whether it says anything new."""
        known = self._links.setdefault(link, {})
        old = known.pop(neighbor.key, None)
        if neighbor.ttl == 0:
            return old is not None
        if len(known) >= MAX_PER_LINK and not self._make_room(known, neighbor):
            return False
        known[neighbor.key] = _Entry(neighbor, now + neighbor.ttl)
        return old is None or old.neighbor != neighbor

    def _make_room(self, known: dict[tuple[str, str], _Entry], neighbor: Neighbor) -> bool:
        """A switch takes the place of what is none: telephones and computers do not crowd it out."""
        others = [key for key, entry in known.items() if not entry.neighbor.switch]
        if not others or not neighbor.switch:
            return False
        del known[others[0]]
        return True

    def forget(self, link: int) -> bool:
        """Forget a link whose carrier went: the cable may be somewhere else. Return whether anything was known."""
        return bool(self._links.pop(link, None))

    def expire(self, now: float) -> bool:
        """Forget who has not been heard for as long as they said; return whether there was anybody."""
        gone = [(link, key) for link, known in self._links.items() for key, one in known.items() if one.until <= now]
        for link, key in gone:
            del self._links[link][key]
        return bool(gone)

    def next_expiry(self) -> float | None:
        """Return when somebody is forgotten next."""
        return min((one.until for known in self._links.values() for one in known.values()), default=None)

    def switches(self, links: Collection[int]) -> tuple[Neighbor, ...]:
        """Return the switches on some links, in a fixed order; more than one: a hub lies between, none is the one."""
        found = {
            entry.neighbor.key: entry.neighbor
            for link in links
            for entry in self._links.get(link, {}).values()
            if entry.neighbor.switch
        }
        return tuple(found[key] for key in sorted(found))

    def med(self, link: int) -> bool:
        """Tell whether a switch on a link wants to hear telephones (TIA-1057)."""
        return any(entry.neighbor.med for entry in self._links.get(link, {}).values())
