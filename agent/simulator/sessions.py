"""The live things that an address can be bound in: signalling sessions and SIP registrations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.simulator.binding import Judgement
from agent.simulator.tokens import Claims


@dataclass(frozen=True, slots=True)
class Send:
    """A frame that the platform sends, to be delivered by whoever owns the sockets."""

    session: str
    frame: dict[str, Any]
    delay: float = 0.0
    """Seconds to wait before it goes out."""
    close: bool = False
    """The socket is closed after it: the session is over already."""


@dataclass(slots=True)
class User:
    """A user and, for a desk phone, its SIP credentials."""

    id: str
    account: str = "acct_1"
    sip_username: str | None = None
    sip_password: str | None = None


@dataclass(slots=True)
class Session:
    """One signalling connection."""

    id: str
    source: str
    """Public address that it comes from."""
    opened_at: float
    """Monotonic seconds."""
    claims: Claims | None = None
    """None until authenticated."""
    presented: str | None = None
    bound: str | None = None
    """The address bound in this session."""
    judgement: Judgement = Judgement.NOTHING

    @property
    def user(self) -> str | None:
        """Whose session it is, None before `authenticate`."""
        return self.claims.user if self.claims else None

    def row(self) -> dict[str, Any]:
        """Return it for the control API."""
        names = ("id", "user", "source", "opened_at", "presented", "bound", "judgement")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Registration:
    """One SIP binding of a user."""

    user: str
    call_id: str
    source: str
    port: int
    transport: str
    contact: str
    expires_at: float
    """Monotonic seconds."""
    presented: str | None
    bound: str | None
    judgement: Judgement

    def row(self) -> dict[str, Any]:
        """Return it for the control API."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Register:
    """A REGISTER as the registrar saw it."""

    username: str
    source: str
    port: int = 5060
    transport: str = "udp"
    presented: str | None = None
    """Value of `X-DialStack-Emergency-Address`, None without the header."""
    expires: int | None = None
    """As asked for; None for the default."""
    call_id: str = ""
    contact: str = ""
    user_agent: str = ""
    authenticated: bool = True
    cseq: int = 0


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """What the registrar should answer."""

    code: int = 200
    """0: no answer at all."""
    expires: int = 300
    """As granted: clamped silently (platform.md 6.4)."""
    save: bool = True
    retry_after: int | None = None
    delay: float = 0.0
    sends: tuple[Send, ...] = field(default=())
