"""What a call looks like to the socket, and what calls need of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.voice.events import Sound


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the socket shows it; its number stays the same through redials."""

    number: int
    to: str
    direction: str
    state: str = "calling"
    code: int = 0
    reason: str = ""
    emergency: bool = False
    at: float = 0.0
    req_id: str | int | None = None
    sound: Sound | None = None
    record: str | None = None


@dataclass(frozen=True, slots=True)
class Interlock:
    """An emergency call or its callback window (S4)."""

    active: bool = False
    until: float | None = None
    """Monotonic seconds; None while the call is up."""
    why: str = ""


class Line(Protocol):
    """What calls need of the stack."""

    def call(self, uri: str) -> int:
        """Dial; raise StackError."""
        ...

    def hangup(self, call: int, code: int = 0) -> None:
        """End; raise StackError."""
        ...

    def answer(self, call: int, code: int) -> None:
        """Answer; raise StackError."""
        ...

    def connect(self, call: int, record: str | None = None) -> None:
        """Connect the sound."""
        ...

    def sound(self, call: int) -> Sound | None:
        """Return RTP packets so far."""
        ...

    def forget(self, call: int) -> None:
        """Free what is left of it."""
        ...
