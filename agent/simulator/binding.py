"""The binding rules of platform.md 3.1 as pure functions: what a presented id means on a network."""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass

from agent.simulator.behavior import Behavior

EMERGENCY = re.compile(r"(\+1?|1|9)?(911|933)")
ID_LENGTH = 255
"""Ids are opaque strings up to this many characters (platform.md 1.3)."""


@dataclass(slots=True)
class Saved:
    """An emergency address as the platform keeps it (platform.md 2.2)."""

    id: str
    user: str
    sequence: int
    """Grows with each address: newest first is highest first."""
    address: dict[str, str | float]
    """As normalized by the carrier."""
    created_at: str
    registered_ip: str | None = None

    def resource(self) -> dict[str, object]:
        """Return the JSON resource."""
        return {
            "id": self.id,
            "address": dict(self.address),
            "registered_ip": self.registered_ip,
            "created_at": self.created_at,
        }


class Judgement(enum.StrEnum):
    """What the platform thinks of a presented id; only the first two bind."""

    BOUND = "bound"
    """The anchor was null and is now this network (rule 4)."""
    REUSED = "reused"
    """The anchor is this network (rules 4, 9)."""
    MISMATCH = "mismatch"
    """The anchor is another network (rule 6)."""
    FOREIGN = "foreign"
    """Another user's (rule 7)."""
    GONE = "gone"
    """Deleted, or never existed (rule 7)."""
    MALFORMED = "malformed"
    """Not an id at all."""
    TOO_SOON = "too_soon"
    """Presented again right after its session ended (platform.md 10.4)."""
    NOTHING = "nothing"
    """No id: nothing is bound and nothing is said (rule 8)."""

    @property
    def binds(self) -> bool:
        """Whether the session or registration has the address afterwards."""
        return self in {Judgement.BOUND, Judgement.REUSED}


def canonical(address: str) -> str:
    """Return an IP address in its one spelling; an IPv4-mapped IPv6 address is IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def same_network(one: str, other: str, behavior: Behavior) -> bool:
    """Compare two networks as `Behavior.anchor_match` says."""
    first, second = ipaddress.ip_address(canonical(one)), ipaddress.ip_address(canonical(other))
    if first.version != second.version:
        return False
    if behavior.anchor_match == "exact":
        return first == second
    return second in ipaddress.ip_network(f"{first}/{24 if first.version == 4 else 64}", strict=False)  # noqa: PLR2004


def well_formed(presented: object) -> bool:
    """Tell whether something can be an id at all."""
    return isinstance(presented, str) and 0 < len(presented) <= ID_LENGTH


def judge(address: Saved | None, user: str, source: str, behavior: Behavior) -> Judgement:
    """Return the verdict on a well-formed id that stands for `address` (None: no such id); changes nothing."""
    if address is None:
        return Judgement.GONE
    if address.user != user:
        return Judgement.FOREIGN
    if address.registered_ip is None:
        return Judgement.BOUND
    if same_network(address.registered_ip, source, behavior):
        return Judgement.REUSED
    return Judgement.MISMATCH


def emergency(number: str) -> bool:
    """Tell whether a dialled number is 911 or 933 in one of the usual spellings."""
    return EMERGENCY.fullmatch(re.sub(r"[\s().-]", "", number)) is not None or number.startswith("urn:service:sos")
