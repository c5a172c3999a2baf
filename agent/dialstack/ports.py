"""The seams between the binding worker and the platform: real ones talk HTTP, the tests' ones a simulator core."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from agent.errors import AgentError
from agent.model import CivicAddress, EmergencyAddress


@dataclass(frozen=True, slots=True)
class Token:
    """A user token (platform.md 1.2); `str()` and `repr()` never show it (S10)."""

    secret: str
    user: str | None
    """`user_...` from its claims; None when it cannot be read."""
    expires_at: float | None
    """Boottime seconds, so that clock steps and suspends do not matter; None: unknown."""

    def __repr__(self) -> str:
        """Return a text without the secret."""
        return f"Token(user={self.user!r}, expires_at={self.expires_at!r})"


class TokenSource(Protocol):
    """Where user tokens come from."""

    async def get(self) -> Token:
        """Return a token that should still be good; raises Retry, Backoff or NeedsHuman."""
        ...

    async def renew(self, refused: Token) -> Token:
        """Return another token after 401, 403 or `auth_expired`; raises NeedsHuman if there is no other."""
        ...

    def forget(self) -> None:
        """Read the source again next time: the token is somebody else's."""
        ...


class AddressApi(Protocol):
    """The emergency addresses of the token's user (platform.md 2). All raise `AgentError`s."""

    async def list(self) -> tuple[EmergencyAddress, ...]:
        """Return all of them, newest first, all pages."""
        ...

    async def get(self, address_id: str) -> EmergencyAddress:
        """Return one; raises AddressGone."""
        ...

    async def ensure(self, civic: CivicAddress) -> EmergencyAddress:
        """Return the saved address with that text, registering it if there is none; raises AddressRefused.

        A lost reply is reconciled by listing before anything is posted again (platform.md 2.5).
        """
        ...

    async def delete(self, address_id: str) -> None:
        """Delete one; one that is gone already is fine."""
        ...

    async def clear(self, address_id: str) -> None:
        """Clear its `registered_ip` (platform.md 3.1.5); raises AddressGone."""
        ...


class Ended(enum.StrEnum):
    """How a signalling session ended, by what to do next (platform.md 4.3)."""

    LOST = "lost"
    """Connect again on the usual schedule."""
    TOKEN = "token"  # noqa: S105 - a kind of ending, not a secret
    """Mint a new token first: `auth_expired`, `auth_failed`, `session_revoked`."""
    REPLACED = "replaced"
    """Another device took the slot: never take it back without a person or a new network."""


@dataclass(frozen=True, slots=True)
class Denied:
    """`network.changed` arrived (S6)."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over."""

    how: Ended
    why: str


class Session(Protocol):
    """One authenticated signalling connection: one verdict (platform.md 3.3)."""

    @property
    def presented_id(self) -> str | None:
        """The id in this connection's authenticate frame, latched when it was sent (S2)."""
        ...

    @property
    def alive(self) -> bool:
        """No end was seen yet."""
        ...

    @property
    def denied(self) -> bool:
        """`network.changed` was seen on it."""
        ...

    def events(self) -> AsyncIterator[Denied | Closed]:
        """Yield what happens, `Closed` last."""
        ...

    async def check(self) -> bool:
        """Ping now and return whether anything came back within the liveness time (5 s)."""
        ...

    async def refresh(self, token: Token) -> None:
        """Hand over a new token in-band (platform.md 4.5); raises AgentError when it is refused."""
        ...

    async def close(self) -> None:
        """End it; never raises."""
        ...


class Signalling(Protocol):
    """Opens sessions."""

    async def open(self, token: Token, present_id: str | None, source: str | None) -> Session:
        """Connect from `source`, authenticate, and return; raises AgentError (code `token` on a refused token)."""
        ...


def refused_token(error: AgentError) -> bool:
    """Tell whether an error means that the token, not the request, was refused."""
    return error.code == "token_refused"
