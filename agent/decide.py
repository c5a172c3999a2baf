"""What should be true now: a pure function of facts, memory and policy (design.md, decision table)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.model import (
    AddressSource,
    Ask,
    CivicAddress,
    Decision,
    NetworkState,
    Place,
    Reasons,
    Verdict,
    VerdictKind,
    Wanted,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is the case, in one network generation."""

    network: NetworkState
    verdict: Verdict
    """Latched for the generation once the evidence is complete."""
    wan_changes: int = 0
    """How often the registrar saw another public address of ours in this generation."""
    denials: int = 0
    """How often the platform said no (`network.changed`) in this generation, since a person last answered."""
    denied_after_clear: bool = False
    """The last no came although the anchor had been cleared: final until a person answers (S6)."""
    answers: int = 0
    """How often a person confirmed in this generation: each forces a fresh connection."""
    refused: bool = False
    """The platform refused the address wanted here (422)."""
    interlock: bool = False
    """An emergency call or its callback window is on (S4)."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered on disk, as far as it matters here."""

    places: tuple[Place, ...] = ()
    current_place_id: int | None = None
    """The place that the device was last known to be at."""
    configured_id: str | None = None
    """The platform's id of the configured address; None: not registered yet."""
    configured_gone: bool = False
    """The platform lost it (404): a person must answer before it is registered again (S6)."""
    last_confirmed: CivicAddress | None = None
    """What staff confirmed last, wherever: the likeliest answer to the question."""

    def place(self, place_id: int | None) -> Place | None:
        """Return the place of that id, if it is known."""
        return next((place for place in self.places if place.id == place_id), None)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says."""

    mobility: Literal["fixed", "movable"]
    configured: CivicAddress | None


@dataclass(frozen=True, slots=True)
class _Choice:
    civic: CivicAddress | None
    address_id: str | None
    source: AddressSource | None
    ask: Ask
    gone: bool = False


def decide(facts: Facts, memory: Memory, policy: Policy) -> Decision:
    """Return what should be presented, what to ask, and why.

    The table of design.md: `same` and `known` present what was confirmed there; `new` and `unknown` present the
    configured address provisionally on a fixed device and nothing on a movable one, and ask. The platform's no is
    final (S6): one silent re-bind after clearing where the evidence says "here", then only a person.
    """
    place = memory.place(facts.verdict.place_id)
    settled = facts.network.evidence_complete and _has_path(facts.network) and not facts.network.flapping
    choice = _choose(place, memory, policy) if settled else _Choice(None, None, None, Ask.NOTHING)
    if facts.refused and choice.civic is not None:
        choice = _Choice(None, None, None, Ask.FIX_ADDRESS)
    if facts.denied_after_clear and choice.civic is not None:
        choice = _Choice(None, None, None, Ask.CONFIRM_PLACE)
    reasons = _reasons(facts, place, policy, gone=choice.gone)
    wanted = Wanted(
        generation=facts.network.generation,
        attempt=_attempt(facts),
        civic=choice.civic,
        address_id=choice.address_id,
        keep_anchor=_keep_anchor(facts, place),
        source=choice.source,
        provisional=choice.source is AddressSource.CONFIGURED,
    )
    alert = choice.ask is not Ask.NOTHING
    return Decision(wanted=wanted, ask=choice.ask, verdict=facts.verdict, reasons=reasons, alert=alert)


def _has_path(network: NetworkState) -> bool:
    return network.sip is not None or network.api is not None


def _choose(place: Place | None, memory: Memory, policy: Policy) -> _Choice:
    """Return the address that may be presented here (S3) and the question that goes with it."""
    confirmation = place.confirmation if place else None
    if confirmation is not None:
        if confirmation.address_id is None:
            return _Choice(None, None, None, Ask.CONFIRM_PLACE, gone=True)
        return _Choice(confirmation.civic, confirmation.address_id, AddressSource.CONFIRMED_HERE, Ask.NOTHING)
    if policy.mobility == "fixed" and policy.configured is not None:
        if memory.configured_gone:
            return _Choice(None, None, None, Ask.CONFIRM_PLACE, gone=True)
        return _Choice(policy.configured, memory.configured_id, AddressSource.CONFIGURED, Ask.CONFIRM_PLACE)
    likely = memory.last_confirmed or policy.configured
    return _Choice(None, None, None, Ask.CONFIRM_PLACE if likely else Ask.CHOOSE_ADDRESS)


def _attempt(facts: Facts) -> int:
    """Return a number that grows with everything that calls for a fresh connection in this generation.

    A no after clearing does not count: nothing new would be learned, only the platform be hammered (S11).
    """
    retries = facts.denials - 1 if facts.denied_after_clear else facts.denials
    return 1 + facts.answers + facts.wan_changes + max(retries, 0)


def _keep_anchor(facts: Facts, place: Place | None) -> str | None:
    """Return the anchor that may stay: only on a place that is known, and not after a no or a WAN change."""
    if place is None or facts.denials or facts.wan_changes:
        return None
    return place.anchor if facts.verdict.kind in {VerdictKind.SAME, VerdictKind.KNOWN} else None


def _reasons(facts: Facts, place: Place | None, policy: Policy, *, gone: bool) -> Reasons:
    kind = facts.verdict.kind
    settled = facts.network.evidence_complete
    return Reasons(
        no_path=not _has_path(facts.network),
        interrupted=facts.network.interrupted,
        flapping=facts.network.flapping,
        evidence_incomplete=not settled,
        interlock=facts.interlock,
        place_same=settled and kind is VerdictKind.SAME,
        place_known=settled and kind is VerdictKind.KNOWN,
        place_new=settled and kind is VerdictKind.NEW,
        place_unknown=settled and kind is VerdictKind.UNKNOWN,
        place_confirmed=place is not None and place.confirmation is not None,
        wan_changed=facts.wan_changes > 0,
        fixed_device=policy.mobility == "fixed",
        movable_device=policy.mobility == "movable",
        no_configured_address=policy.configured is None,
        denied=facts.denials > 0,
        denied_after_clear=facts.denied_after_clear,
        address_gone=gone,
        address_refused=facts.refused,
    )
