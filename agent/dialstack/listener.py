"""What the binding worker is told about policy, and what it tells the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.dialstack.proof import Binding, Proof
from agent.errors import AddressRefused
from agent.model import CivicAddress, EmergencyAddress, Wanted


@dataclass(frozen=True, slots=True)
class Ways:
    """How ids are presented, and how often proofs are looked at again."""

    signalling: bool = True
    sip: bool = True
    audit_interval: float = 900.0
    local_token: bool = True
    """The token is read from a file: looking again is free."""


class Listener(Protocol):
    """What the worker tells the engine; all but `registered` and `user` must be quick."""

    def on_binding(self, binding: Binding) -> None:
        """The published state changed."""

    def on_user(self, user: str | None) -> None:
        """A token of this user is about to be used; raises NeedsHuman if it is somebody else's."""

    def on_registered(self, civic: CivicAddress, record: EmergencyAddress) -> None:
        """The platform has an id for an address; durable when it returns."""

    def on_denied(self, generation: int, *, final: bool) -> None:
        """The platform said no (S6); `final`: clearing and presenting again would change nothing."""

    def on_gone(self, address_id: str) -> None:
        """The platform does not know this id any more."""

    def on_refused(self, generation: int, civic: CivicAddress, error: AddressRefused) -> None:
        """The platform did not validate this address."""

    def on_proven(self, proof: Proof) -> None:
        """An address was proven."""

    def present(self, wanted: Wanted, address_id: str | None) -> None:
        """Let the phone line register with this id, in the wanted generation and attempt."""

    def public_address(self) -> str | None:
        """Where the registrar saw us come from in this generation."""
