"""What is told of an emergency call (47 CFR 9.3, 9.16(b)(2)): frozen values that page, disk and channels share."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from agent.model import CivicAddress

STEP = 1.0
"""Seconds by which the clock must have been set since the dialing for its time to be told anew."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Certainty(enum.StrEnum):
    """How sure it is that the phone is where it is said to be."""

    CONFIRMED = "confirmed"
    """Staff confirmed this place, and the evidence says that the phone is in it."""
    UNCONFIRMED = "unconfirmed"
    """Only configured, or the network is changing."""
    UNKNOWN = "unknown"


class Conveyed(enum.StrEnum):
    """What is known of the location that goes out with the call."""

    PROVEN = "proven"
    """Read back from the platform on this network, and confirmed by staff."""
    PROVISIONAL = "provisional"
    """Read back, but nobody confirmed that the phone is there."""
    UNPROVEN = "unproven"
    """Presented; no proof that the platform uses it."""
    NONE = "none"
    """Nothing was presented: 911 gets no address."""
    UNKNOWN = "unknown"
    """The agent had only just started and cannot say."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where the phone is, and where 911 was told that it is: two facts that may differ."""

    here: CivicAddress | None = None
    certainty: Certainty = Certainty.UNKNOWN
    told: CivicAddress | None = None
    """The location as conveyed; None: none, or its text is not known here."""
    conveyed: Conveyed = Conveyed.UNKNOWN


class Event(enum.StrEnum):
    """What is new about a call."""

    DIALED = "dialed"
    LOCATION = "location"
    """The location became known after the agent's start; or staff confirmed one during the call."""
    ANSWERED = "answered"
    CALLBACK = "callback"
    """A call came in that may be the dispatcher's."""
    ENDED = "ended"
    ESCALATED = "escalated"
    """Nobody acknowledged in time."""
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True)
class Notice:
    """One emergency or test call and all that happened to it; every change is another version."""

    uid: str
    """Opaque; the same in every channel, so that receivers can drop what they have."""
    call: str
    """Names the call on this device for all time: boot, then `Call.name`."""
    number: str
    """`911`, `933`, ..."""
    test: bool
    dialed_at: float
    """Unix seconds."""
    boot: str
    """Id of the boot in which it was dialed."""
    boot_at: float
    """Seconds of CLOCK_BOOTTIME: a clock step moves no deadline."""
    device: str
    callback_number: str
    where: Where
    late: bool = False
    """The agent was not there when it was dialed and found the call on its start."""
    events: tuple[Event, ...] = (Event.DIALED,)
    """Oldest first; the version is their number."""
    answered_at: float | None = None
    callback_at: float | None = None
    ended_at: float | None = None
    seconds: float | None = None
    """Seconds of talk, once it ended."""
    outcome: str = ""
    """Why it ended, in the words of the network or ours; `agent.storage.packed` tells them in any language."""
    escalated_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str = ""
    callbacks: tuple[str, ...] = ()
    """Incoming calls that were told already, named as `call` is."""

    def dialed_by(self, wall: float, boottime: float, boot: str) -> float:
        """Return when it was dialed as the clock stands now: the time since then is right after a step, too."""
        at = wall - (boottime - self.boot_at)
        moved = boot == self.boot and abs(at - self.dialed_at) > STEP
        return float(round(at)) if moved else self.dialed_at

    @property
    def version(self) -> int:
        """Return what grows with every change."""
        return len(self.events)

    @property
    def is_open(self) -> bool:
        """Tell whether a person should still acknowledge it; test calls need nobody."""
        return not self.test and self.acknowledged_at is None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one channel is with one notice."""

    sent: int = 0
    """The version that it delivered last; 0: none."""
    attempts: int = 0
    """Failed ones, in a row."""
    error: str = ""
    """Why the last one failed; empty after a success."""
    at: float | None = None
    """Unix seconds of the last delivery."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the voice process says of one call."""

    name: str
    """Names the call in this boot (`CallView.name`)."""
    number: str
    """As dialed, an emergency number normalized; of an incoming call who calls."""
    incoming: bool
    emergency: bool
    """An emergency call, or one that comes in while a dispatcher may call back."""
    state: str
    """`calling`, `ringing`, `early`, `confirmed`, `ended`."""
    reason: str = ""
    presented_id: str | None = None
    """The id that its INVITE carried."""
    dialed_ago: float = 0.0
    """Seconds since it was asked for."""
    answered_ago: float | None = None
    """Seconds since it was answered; None: it was not, or that is not known."""


@dataclass(frozen=True, slots=True)
class Now:
    """The clocks at one moment."""

    wall: float
    boottime: float
    boot: str


def boot_id() -> str:
    """Return what tells this boot from every other; empty where the kernel does not say."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
