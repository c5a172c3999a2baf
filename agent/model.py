"""The frozen values that flow down the pipeline; no behavior beyond small derived properties."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Literal

from agent.heard import NOTHING, Heard
from agent.say import say

# --------------------------------------------------------------------------- civic addresses


@dataclass(frozen=True, slots=True)
class CivicAddress:
    """A dispatchable location as staff write it and the platform takes it (platform.md 2.1)."""

    address_number: str
    """House number, apart from the street name."""
    street: str
    city: str
    state: str
    """Two-letter upper-case code (MSAG accepts nothing else)."""
    postal_code: str
    unit: str = ""
    """Suite, floor, room or similar: what makes an address dispatchable (47 CFR 9.3)."""
    country: str = "US"

    def one_line(self) -> str:
        """Return the address as people read it aloud."""
        street = " ".join(part for part in (self.address_number, self.street) if part)
        first = ", ".join(part for part in (street, self.unit) if part)
        return f"{first}, {self.city}, {self.state} {self.postal_code}"


@dataclass(frozen=True, slots=True)
class EmergencyAddress:
    """An address saved on the platform (platform.md 2.2)."""

    id: str
    """Opaque."""
    civic: CivicAddress
    """As normalized by the carrier."""
    registered_ip: str | None
    """The network that it is anchored to; proves nothing by itself (S2)."""
    created_at: str = ""


# --------------------------------------------------------------------------- network


SOMEWHERE = {4: "192.0.2.1", 6: "2001:db8::1"}
"""Documentation addresses (RFC 5737, 3849), the destination of a Path whose host name could not be resolved: a route
lookup toward them answers "is there a default route". Nothing is ever sent there."""


class LinkKind(enum.StrEnum):
    """What an interface is, as far as it matters for place and path."""

    ETHERNET = "ethernet"
    WIFI = "wifi"
    CELLULAR = "cellular"
    """Travels with the device: carries traffic, never identifies a place."""
    TUNNEL = "tunnel"
    CONTAINER = "container"
    """Docker and other bridges, veth ends of containers."""
    LOOPBACK = "loopback"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Path:
    """How the kernel would reach one destination now (RTM_GETROUTE)."""

    interface: str
    ifindex: int
    source: str
    """The address the kernel would use as source."""
    gateway: str | None
    """None on a point-to-point or on-link route."""
    destination: str
    kind: LinkKind
    family: Literal[4, 6]
    deprecated: bool = False
    """The source is past its preferred lifetime (failure 6)."""


class Strength(enum.StrEnum):
    """What an observation may carry: STRONG identifies a place, WEAK only supports."""

    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, slots=True, order=True)
class Observation:
    """One piece of place evidence, with its source."""

    kind: str
    """`switch_port`, `gateway_mac`, `shared_gateway_mac`, `bssid`, `ssid`, `subnet`, `vlan`, `public_address`, ..."""
    value: str
    interface: str
    strength: Strength
    on_path: bool = True
    """Seen on the interface that carries the path in use."""


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What the network watcher publishes: always the newest truth, never a delta."""

    generation: int
    """Grows whenever path or strong place evidence changed, or sight was lost for longer than the grace."""
    sip: Path | None
    """Path to the registrar; None while there is no usable one (UP, LOWER_UP, RUNNING required)."""
    api: Path | None
    """Path to the platform's API and signalling hosts."""
    observations: tuple[Observation, ...]
    evidence_complete: bool
    """Strong evidence is in, or the wait for it is over (EVIDENCE_WAIT)."""
    cause: str
    """In words for the log: `link eth0 lost carrier`, `default route changed`, `woke from suspend`, ..."""
    event_at: float
    """Monotonic seconds of the first kernel hint that led here."""
    interrupted: bool = False
    """Carrier or route is lost but the grace has not run out: the light is off, nothing is torn down."""
    flapping: bool = False
    """Changes come so fast that they are held back; the light is off until it is calm."""
    resumed: int = 0
    """Grows each time an interruption ended on the very same network: connections may live, proof is due."""
    heard: Heard = NOTHING
    """What the network itself says on the link that carries the path."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of blindness (S12): recorded, followed by a full re-read."""

    kind: str
    """`overrun`, `suspend`, `clock_step`, `dead_worker`, `restart`."""
    seconds: float
    detail: str
    step: float = 0.0
    """Seconds by which the wall clock was set, forwards or back; of a `clock_step` only."""


# --------------------------------------------------------------------------- place


class VerdictKind(enum.StrEnum):
    """Where is this device plugged in, compared with what is known?"""

    SAME = "same"
    KNOWN = "known"
    NEW = "new"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Staff said: this device is at this address (S3 a)."""

    civic: CivicAddress
    address_id: str | None
    """The platform's id; None after the platform lost it (assumption 5)."""
    at: float
    """Wall clock, Unix seconds."""
    who: str
    """`local screen`, `cli`, ..."""


@dataclass(frozen=True, slots=True)
class Place:
    """A network place that the device has been at."""

    id: int
    observations: tuple[Observation, ...]
    confirmation: Confirmation | None
    anchor: str | None
    """`registered_ip` at the last proof here."""
    public_address: str | None
    """What the registrar last saw us come from here (Via `received`)."""
    last_seen: float
    """Wall clock, Unix seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to "where?", with the observations that carried it."""

    kind: VerdictKind
    place_id: int | None
    carried_by: tuple[Observation, ...] = ()
    against: tuple[Observation, ...] = ()
    """Observations that speak for another place; recorded, shown, never averaged."""


# --------------------------------------------------------------------------- decisions


class AddressSource(enum.StrEnum):
    """Why an address may be presented here (S3)."""

    CONFIRMED_HERE = "confirmed_here"
    CONFIGURED = "configured"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the binding worker should make true; level-triggered, newest wins."""

    generation: int
    attempt: int
    """Grows to force a fresh connection within one generation."""
    civic: CivicAddress | None
    """None: present nothing (S3), but stay registered and connected (S7)."""
    address_id: str | None
    """None with a civic address: register it first."""
    keep_anchor: str | None
    """Present without clearing only where the platform's anchor is exactly this; else clear first."""
    source: AddressSource | None
    provisional: bool


class Ask(enum.StrEnum):
    """The one question that staff should answer now."""

    NOTHING = "nothing"
    CONFIRM_PLACE = "confirm_place"
    """Is this phone still at ...?"""
    CHOOSE_ADDRESS = "choose_address"
    """Where is this phone?"""
    FIX_ADDRESS = "fix_address"
    """The platform refused the address."""


@dataclass(frozen=True, slots=True)
class Reasons:
    """Named reasons of a decision (S8); every one true or false, none implied."""

    no_path: bool = False
    interrupted: bool = False
    flapping: bool = False
    evidence_incomplete: bool = False
    interlock: bool = False
    place_same: bool = False
    place_known: bool = False
    place_new: bool = False
    place_unknown: bool = False
    place_confirmed: bool = False
    wan_changed: bool = False
    fixed_device: bool = False
    movable_device: bool = False
    no_configured_address: bool = False
    denied: bool = False
    denied_after_clear: bool = False
    address_gone: bool = False
    address_refused: bool = False

    def true(self) -> tuple[str, ...]:
        """Return the names of the reasons that hold, in their declared order."""
        return tuple(name for name in self.__slots__ if getattr(self, name))


@dataclass(frozen=True, slots=True)
class Decision:
    """What `decide()` says; recorded as it is (S8)."""

    wanted: Wanted
    ask: Ask
    verdict: Verdict
    reasons: Reasons
    alert: bool = False
    """Somebody must be told until it is confirmed."""


# --------------------------------------------------------------------------- status


class StatusKind(enum.StrEnum):
    """The light."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    UNBOUND = "unbound"
    PROVISIONAL = "provisional"
    BOUND = "bound"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Status:
    """What page, CLI, metrics and journal render, and own nothing of."""

    kind: StatusKind
    since: float
    """Wall clock, Unix seconds."""
    cause: str
    """A stable code: `carrier_lost`, `place_new`, `wrong_password`, ..."""
    sentence: str
    """For people: where 911 would send help and whether that is proven."""
    next_step: str
    """For people: what happens next or what to do."""


# --------------------------------------------------------------------------- voice


class RegistrationKind(enum.StrEnum):
    """State of the SIP registration, as `dialstack-voice` reports it."""

    OFFLINE = "offline"
    REGISTERING = "registering"
    REGISTERED = "registered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Registration:
    """One report from `dialstack-voice` (RFC 3261 10.2, 18.2.1; RFC 3581)."""

    kind: RegistrationKind
    generation: int
    """The path generation that this registration was made in; 0 without an instruction."""
    presented_id: str | None
    """The id that this REGISTER carried, latched when it was sent (S2)."""
    code: int = 0
    """SIP status code, 0 while in flight."""
    reason: str = ""
    expires: int = 0
    """Seconds, as granted."""
    via_received: str | None = None
    retry_in: float | None = None
    sent_at: float | None = None
    """Monotonic seconds when the first REGISTER of this attempt left."""
    at: float = 0.0
    """Monotonic seconds of this report."""
    attempt: int = 0
    """The instruction's attempt that this answers."""

    @property
    def answer(self) -> str:
        """Return what the registrar said: `403 Forbidden`; or why it said nothing."""
        return say("{code} {reason}", code=self.code, reason=self.reason) if self.code else self.reason


@dataclass(frozen=True, slots=True)
class VoiceInstruction:
    """What `dialstack-voice` should do about its registration; newest wins."""

    generation: int
    attempt: int
    interface: str
    source: str
    destination: str
    present_id: str | None


@dataclass(frozen=True, slots=True)
class CallSound:
    """RTP packets of a call so far; PJSIP counts anew after a change of path."""

    rx_packets: int = 0
    tx_packets: int = 0


@dataclass(frozen=True, slots=True)
class CallView:
    """One call as `dialstack-voice` reports it; times are monotonic seconds (CLOCK_MONOTONIC)."""

    number: int
    """The same through redials."""
    to: str
    """The other side: what was dialed (`911` and `933` in that spelling), or who calls."""
    direction: str
    """`out` or `in`."""
    state: str
    """`calling`, `ringing`, `early`, `confirmed`, `ended`; newer versions may know more."""
    code: int = 0
    """SIP status code of the last answer; 0: none."""
    reason: str = ""
    emergency: bool = False
    test: bool = False
    """A call to 933: an emergency call in every way, but nobody needs help."""
    started_at: float = 0.0
    """When it was first heard of: at dialing, or at the first report after a reconnect."""
    answered_at: float | None = None
    """When it was first reported as answered; None: not yet."""
    started_wall: float | None = None
    """Unix seconds of the request, where the process says it."""
    held: bool = False
    held_by_peer: bool = False
    callback: bool = False
    """An incoming call while the interlock is on: most likely the dispatcher."""
    presented_id: str | None = None
    """The id that the INVITE carried."""
    record: str | None = None
    """Name of the recording, if there is one."""
    sound_problem: str | None = None
    """A sentence why there is no recording or no sound."""
    ended: str = ""
    """Of an ended call: a sentence why."""
    refused: str | None = None
    """Of an ended outgoing call that the far end did not want: `announcement`, `busy`, ... (PROTOCOL.md)."""
    again: str | None = None
    """Why an emergency call that somebody had answered is being dialed again, a sentence; None otherwise."""
    name: str = ""
    """Names the call among all of this boot, the same after a reconnect: a number is given again in another life."""
    sound: CallSound | None = field(default=None, compare=False)
    """Not compared: it changes every second and nobody has to decide anew because of it."""


@dataclass(frozen=True, slots=True)
class VoiceState:
    """What the agent knows of the voice process."""

    connected: bool
    """The socket between the processes is up."""
    registration: Registration = field(
        default_factory=lambda: Registration(kind=RegistrationKind.OFFLINE, generation=0, presented_id=None)
    )
    interlock: bool = False
    """An emergency call or its callback window is on (S4)."""
    interlock_until: float | None = None
    """Monotonic seconds when the callback window ends; None: a call is up, or there is no window."""
    calls: tuple[CallView, ...] = ()
    """Calls that are up, oldest first; empty also while not connected: then nothing is known about calls."""
    problem: str | None = None
    """In words, when the process says what is wrong with it."""
