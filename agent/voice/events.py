"""The plain values that cross the border of the SIP stack: plans in, results and call changes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Literal

CallState = Literal["calling", "ringing", "early", "confirmed", "ended"]


@dataclass(frozen=True, slots=True)
class StackPlan:
    """One life of the SIP stack: bound to one source, presenting one id; a change of either is a new life."""

    address: str
    """IP literal of the registrar: PJSIP never resolves a name by itself."""
    host: str = ""
    """The registrar's name, for the verification of its certificate; empty or a literal: `address`."""
    port: int = 5060
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: str = ""
    domain: str = ""
    password: str = field(default="", repr=False)
    source: str | None = None
    """Local address to bind; None lets the kernel choose."""
    interface: str = ""
    """Bind every socket to this interface, against the kernel's own choice of a route; empty: the kernel chooses."""
    local_port: int = 0
    expires: int = 120
    header: str = "X-DialStack-Emergency-Address"
    present_id: str | None = None
    ca_file: FilePath | None = None
    instance_id: str = ""
    """URN of this device (RFC 5626 4.1)."""
    register: bool = True
    """False: up for an emergency call only; a REGISTER may follow."""
    verify: bool = True
    """False only when an emergency call was refused for the registrar's certificate alone."""


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The final answer to a REGISTER, or what PJSIP made up in its place (RFC 3261 10.2)."""

    code: int
    reason: str
    expires: int = 0
    """Seconds, as granted for our contact."""
    via_received: str | None = None
    retry_after: float | None = None
    life: int = 0
    """The life of the stack that it belongs to."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One change of one call, as the stack saw it."""

    call: int
    state: CallState
    direction: Literal["out", "in"]
    code: int = 0
    reason: str = ""
    remote: str = ""
    life: int = 0


@dataclass(frozen=True, slots=True)
class Trying:
    """An INVITE was heard by the next hop (100 Trying): this way works, patience is in order."""

    call: int
    life: int = 0


@dataclass(frozen=True, slots=True)
class MediaChanged:
    """Sound of a call began, stopped or went on hold."""

    call: int
    active: bool = True
    held: bool = False
    held_by_peer: bool = False
    life: int = 0


@dataclass(frozen=True, slots=True)
class Reinvited:
    """The far end refused an INVITE, within a call or at its beginning."""

    call: int
    code: int
    reason: str = ""
    life: int = 0


@dataclass(frozen=True, slots=True)
class DigitHeard:
    """The far end pressed a key (RFC 4733 or INFO)."""

    call: int
    digit: str
    life: int = 0


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """The TCP or TLS connection to the registrar is gone."""

    reason: str
    life: int = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """RTP packets of a call so far."""

    rx_packets: int
    tx_packets: int


@dataclass(frozen=True, slots=True)
class Body:
    """A part of an INVITE beside its SDP."""

    kind: str
    """Media type, such as application/pidf+xml."""
    content_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Dial:
    """One INVITE."""

    uri: str
    headers: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    presented_id: str | None = None
    """What one of the headers says, for the report."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for beside a number: the files of its sound, and how important it is."""

    record: FilePath | None = None
    play: FilePath | None = None
    yields: bool = False
    """A test call that gives way to every other call."""


StackEvent = RegisterResult | CallEvent | Trying | Reinvited | MediaChanged | DigitHeard | ConnectionLost


class StackError(Exception):
    """The stack refused a command; the words are PJSIP's."""
