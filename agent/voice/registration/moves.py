"""What the registration machine sees and what it orders: the values at its two ends."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

from agent.model import Registration, VoiceInstruction


@dataclass(frozen=True, slots=True)
class Seen:
    """How the kernel reaches the registrar, and how often that link's carrier has changed so far."""

    interface: str
    source: str
    destination: str
    carrier_changes: int = 0


@dataclass(frozen=True, slots=True)
class Register:
    """Send REGISTER: in a fresh life of the stack, as a plain refresh, or with another id in the same life."""

    target: VoiceInstruction
    how: Literal["fresh", "refresh", "reheader"]


@dataclass(frozen=True, slots=True)
class Unregister:
    """Send Expires: 0 and give the answer to `result()`; `reheader` follows."""


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Move the calls that are up to the path that the kernel uses now (S4)."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell everybody."""

    registration: Registration


Action = Register | Unregister | CarryOver | Report


class Phase(enum.Enum):
    """What the machine is waiting for."""

    IDLE = enum.auto()
    IN_FLIGHT = enum.auto()
    UNREGISTERING = enum.auto()
    REGISTERED = enum.auto()
    WAITING = enum.auto()


def same_path(one: VoiceInstruction | None, other: VoiceInstruction) -> bool:
    """Return whether two instructions are about the same way to the same registrar."""
    return one is not None and (one.interface, one.source, one.destination) == (
        other.interface,
        other.source,
        other.destination,
    )
