"""User tokens in the shape of a JWT (platform.md 1.1, 1.2): minted, checked, revoked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.clock import Clock
from agent.simulator.refusal import Refusal

DEFAULT_TTL = 86_400
MAX_TTL = 604_800


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says."""

    user: str
    account: str
    expires_at: float
    """Wall clock, Unix seconds."""
    serial: int
    """Order of minting; revocation kills every lower one."""


class TokenError(Exception):
    """Why a token does not count; `code` is one of the socket's error codes (platform.md 4.3)."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def iso(seconds: float) -> str:
    """Return Unix seconds as ISO 8601 in UTC with a Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tokens:
    """Mints and checks; the key is fixed, so a restarted simulator still takes its old tokens."""

    def __init__(self, clock: Clock, key: bytes = b"dialstack simulator") -> None:
        self._clock = clock
        self._key = key
        self._serial = 0
        self._floor: dict[str, int] = {}

    def mint(self, user: str, account: str, ttl: float) -> dict[str, Any]:
        """Return the answer of `POST /v1/user_sessions`."""
        self._serial += 1
        now = self._clock.wall()
        claims = {"sub": user, "account": account, "iat": int(now), "exp": now + ttl, "jti": self._serial}
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        signed = f"{head}.{_encode(json.dumps(claims).encode())}"
        secret = f"{signed}.{_encode(self._sign(signed))}"
        return {"user": user, "account": account, "client_secret": secret, "expires_at": iso(now + ttl)}

    def check(self, token: object) -> Claims:
        """Return the claims of a good token; raise `TokenError` with auth_failed, auth_expired or session_revoked."""
        if not isinstance(token, str) or token.count(".") != 2:  # noqa: PLR2004 - a JWT has three parts
            raise TokenError("auth_failed", "The token is not valid.")
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_encode(self._sign(signed)), signature):
            raise TokenError("auth_failed", "The token is not valid.")
        body = json.loads(_decode(signed.partition(".")[2]))
        claims = Claims(body["sub"], body["account"], body["exp"], body["jti"])
        if claims.expires_at <= self._clock.wall():
            raise TokenError("auth_expired", "The token has expired.")
        if self.revoked(claims):
            raise TokenError("session_revoked", "The sessions of this user were revoked.")
        return claims

    def revoke(self, user: str) -> dict[str, Any]:
        """Kill every token of the user minted so far."""
        self._floor[user] = self._serial
        return {"user": user, "sessions_revoked_at": iso(self._clock.wall())}

    def revoked(self, claims: Claims) -> bool:
        """Tell whether the token was minted before a revocation."""
        return claims.serial <= self._floor.get(claims.user, 0)

    def _sign(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode(), hashlib.sha256).digest()


def checked_ttl(value: object, status: int) -> float:
    """Return `ttl_seconds` as asked for, or its default; raise `Refusal` for nonsense or more than seven days."""
    if value is None:
        return DEFAULT_TTL
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        details = {"ttl_seconds": "must be a positive number"}
        raise Refusal(400, "Invalid request", code="validation_error", details=details)
    if value > MAX_TTL:
        details = {"ttl_seconds": f"must be at most {MAX_TTL}"}
        raise Refusal(status, "Invalid request", code="validation_error", details=details)
    return float(value)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
