"""What a call looks like to the socket, and what calls need of the stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.voice.events import Dial, Sound, Wish


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the socket shows it (PROTOCOL.md); its number stays the same through redials."""

    number: int
    to: str
    direction: str
    state: str = "calling"
    code: int = 0
    reason: str = ""
    emergency: bool = False
    callback: bool = False
    at: float = 0.0
    started_at: float = 0.0
    started_wall: float = 0.0
    answered_at: float | None = None
    attempt: int = 0
    held: bool = False
    held_by_peer: bool = False
    presented_id: str | None = None
    req_id: str | int | None = None
    record: str | None = None
    """Name of the recording."""
    sound_problem: str | None = None
    sound: Sound | None = None
    ended: str | None = None
    """Why it is over, a sentence."""
    refused: str | None = None
    again: str | None = None
    """Why an emergency call that somebody had answered is being dialed again, a sentence; None once it is answered."""

    @property
    def test(self) -> bool:
        """It asks for the test, not for help."""
        return self.emergency and self.to == "933"


@dataclass(frozen=True, slots=True)
class Interlock:
    """An emergency call or its callback window (S4)."""

    active: bool = False
    until: float | None = None
    """Monotonic seconds; None while the call is up."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """An emergency call that nobody here has ended: what a new life of the process must dial again."""

    number: int
    to: str
    started_at: float
    started_wall: float
    req_id: str | int | None = None
    attempt: int = 0
    """INVITEs so far."""
    redials: int = 0
    """Which way comes next."""
    answered: bool = False
    """Somebody was talked to."""


class Line(Protocol):
    """What calls need of the stack; every method but `sound` and `forget` may raise StackError."""

    def call(self, dial: Dial) -> int:
        """Dial."""
        ...

    def hangup(self, call: int, code: int = 0) -> None:
        """End or refuse."""
        ...

    def answer(self, call: int, code: int) -> None:
        """Answer."""
        ...

    def hold(self, call: int, *, on: bool) -> None:
        """Put on hold, or take back."""
        ...

    def digits(self, call: int, digits: str) -> None:
        """Send digits."""
        ...

    def connect(self, call: int, wish: Wish) -> str | None:
        """Connect the sound; return a sentence about what of the wish could not be."""
        ...

    def sound(self, call: int) -> Sound | None:
        """Return RTP packets so far."""
        ...

    def forget(self, call: int) -> None:
        """Free what is left of it."""
        ...
