"""The likeliest answers to "where is this phone?", each with its reason, each address once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.control import SavedAddress
from agent.dialstack.civic import same_address
from agent.model import Ask, CivicAddress, EmergencyAddress
from agent.network.named import complete
from agent.say import say
from agent.surroundings import SOURCES

if TYPE_CHECKING:
    from agent.engine import Engine

_Hint = tuple[CivicAddress, str | None, str]
"""Address, its id where it is known, and why it stands here."""


def likely(engine: Engine, saved: Sequence[EmergencyAddress], in_use: str | None) -> tuple[SavedAddress, ...]:
    """Return the addresses that staff may choose, likeliest first."""
    hints: list[_Hint] = []
    place = engine.memory.place(engine.where.verdict.place_id)
    if place is not None and place.confirmation is not None:
        said = place.confirmation
        hints.append((said.civic, said.address_id, say("last confirmed on this network")))
    hints += _of_this_connection(engine, saved)
    if engine.memory.last_confirmed is not None:
        hints.append((engine.memory.last_confirmed, None, say("confirmed last")))
    if engine.policy.configured is not None:
        hints.append((engine.policy.configured, engine.memory.configured_id, say("configured for this device")))
    hints += [(item.civic, item.id, say("saved")) for item in saved]
    hints += [
        (civic, None, say("saved; has to be registered again")) for civic in engine.store.lost_addresses(engine.user)
    ]
    return _merge(_with_network(engine, hints), saved, in_use)


def _with_network(engine: Engine, hints: list[_Hint]) -> list[_Hint]:
    """Put what the network names first, or second where the question is whether the phone is *still* somewhere.

    An address that is known already moves there, with that reason; it is never presented by itself (S3).
    """
    heard = engine.surroundings.heard
    civic = complete(heard.named) if heard.named is not None else None
    if civic is None:
        return hints
    reason: str = SOURCES[heard.source or "lldp"]
    asking = engine.decision.ask if engine.decision is not None else Ask.NOTHING
    first, rest = hints[:1], hints[1:]
    if first and same_address(first[0][0], civic):
        known, address_id, why = first[0]
        return [(known, address_id, say("{reason}; {other}", reason=why, other=reason)), *rest]
    same = next((one for one in rest if same_address(one[0], civic)), None)
    named = (same[0], same[1], reason) if same is not None else (civic, None, reason)
    return [*first, named, *rest] if asking is not Ask.CHOOSE_ADDRESS else [named, *hints]


def _of_this_connection(engine: Engine, saved: Sequence[EmergencyAddress]) -> list[_Hint]:
    """Return what was confirmed or proven behind the public address that the phone comes from now."""
    public = engine.here.public_address
    if public is None:
        return []
    hint: str = say("used on this Internet connection before")
    places = sorted(engine.memory.places, key=lambda place: -place.last_seen)
    said = [place.confirmation for place in places if place.public_address == public and place.confirmation]
    anchored = [item for item in saved if item.registered_ip == public]
    return [(one.civic, one.address_id, hint) for one in said] + [(one.civic, one.id, hint) for one in anchored]


def _merge(hints: list[_Hint], saved: Sequence[EmergencyAddress], in_use: str | None) -> tuple[SavedAddress, ...]:
    found: list[SavedAddress] = []
    for civic, address_id, hint in hints:
        if any(same_address(item.civic, civic) for item in found):
            continue
        known = address_id or next((item.id for item in saved if same_address(item.civic, civic)), None)
        found.append(SavedAddress(known, civic, in_use=known is not None and known == in_use, hint=hint))
    return tuple(found)
