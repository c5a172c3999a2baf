"""User tokens: from a file, a command or an endpoint; renewed before they expire on a clock that never steps."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import email.utils
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import msgspec

from agent.clock import Clock
from agent.config import read_secret
from agent.dialstack.ports import Token
from agent.errors import AgentError, NeedsHuman, Retry
from agent.settings import TokenSettings

EARLY = 60.0
"""Seconds before its end at which a token is renewed (the SDK's own figure, platform.md 4.5)."""
COMMAND_TIMEOUT = 15.0
OUTPUT_LIMIT = 64 * 1024
SANE_WALL = 1_767_225_600.0
"""2026-01-01: a wall clock before this program was written is no clock (failure 11)."""

Post = Callable[[str, str | None], Awaitable[tuple[Mapping[str, str], bytes]]]
"""POST to a URL with a bearer secret, return (headers, body); raises AgentError."""


class Minted(msgspec.Struct):
    """Answer of POST /v1/user_sessions (platform.md 1.2)."""

    client_secret: str
    user: str = ""
    expires_at: str = ""


class _Claims(msgspec.Struct):
    sub: str = ""
    exp: float | None = None
    iat: float | None = None


class Tokens:
    """`TokenSource` of the configuration. One read at a time; followers share it."""

    def __init__(self, settings: TokenSettings, clock: Clock, post: Post) -> None:
        self._settings = settings
        self._clock = clock
        self._post = post
        self._token: Token | None = None
        self._lock = asyncio.Lock()

    async def get(self) -> Token:
        """See TokenSource."""
        async with self._lock:
            token = self._token
            if token is None or self._due(token):
                token = self._token = await self._read()
            return token

    async def renew(self, refused: Token) -> Token:
        """See TokenSource: reads the source once more; the same token again is an answer for people."""
        async with self._lock:
            if self._token is None or self._token.secret == refused.secret:
                self._token = await self._read()
            if self._token.secret == refused.secret:
                self._token = None
                raise NeedsHuman(
                    "The platform refused the token, and its source gives no other one.",
                    emergency="911 and 933 still go out, but without a proven location.",
                    todo="Put a new token where the device reads it; it is noticed by itself.",
                    code="token_expired",
                )
            return self._token

    def forget(self) -> None:
        """See TokenSource."""
        self._token = None

    def _due(self, token: Token) -> bool:
        return token.expires_at is not None and self._clock.boottime() >= token.expires_at - EARLY

    async def _read(self) -> Token:
        source = self._settings.source
        if source == "command":
            token = parse(await self._run(), self._clock)
        elif source == "endpoint":
            headers, body = await self._post(self._settings.endpoint, self._endpoint_secret())
            token = parse(body.decode(errors="replace"), self._clock, headers)
        else:
            token = parse(await asyncio.to_thread(read_secret, self._settings.file, "token"), self._clock)
        if token.expires_at is not None and token.expires_at <= self._clock.boottime():
            raise NeedsHuman(
                "The token has expired.",
                emergency="911 and 933 still go out, but without a proven location.",
                todo="Put a new token where the device reads it; it is noticed by itself.",
                code="token_expired",
            )
        self._check_user(token)
        return token

    def _check_user(self, token: Token) -> None:
        wanted = self._settings.user
        if wanted and token.user and token.user != wanted:
            raise other_user(wanted, token.user)

    def _endpoint_secret(self) -> str | None:
        if self._settings.endpoint_secret_file is None:
            return None
        return read_secret(self._settings.endpoint_secret_file, "token-endpoint-secret")

    async def _run(self) -> str:
        command = self._settings.command
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise _command_failed(command[0], f"cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                assert process.stdout is not None  # noqa: S101 - a pipe was asked for
                output = await process.stdout.read(OUTPUT_LIMIT)
                status = await process.wait()
        except TimeoutError as error:
            raise _command_failed(command[0], f"did not end within {COMMAND_TIMEOUT:g} s") from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if status != 0:
            raise _command_failed(command[0], f"ended with status {status}")
        return output.decode(errors="replace")


def parse(text: str, clock: Clock, headers: Mapping[str, str] | None = None) -> Token:
    """Return the token in a bare text or in the JSON of POST /v1/user_sessions; raises Retry.

    The expiry is turned into boottime by the lifetime, not the date: `exp - iat` of a token just minted, else
    `expires_at - Date` of the answer, else `exp` against a wall clock that is sane.
    """
    text = text.strip()
    expires: str = ""
    if text.startswith("{"):
        try:
            minted = msgspec.json.decode(text, type=Minted)
        except msgspec.MsgspecError as error:
            raise Retry(f"The token source's answer could not be understood: {error}.", code="token_source") from error
        text, expires = minted.client_secret, minted.expires_at
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise Retry("The token source gave no token.", todo="Look at section [token].", code="token_source")
    claims = _claims(text)
    lifetime = _lifetime(claims, expires, headers, clock)
    end = None if lifetime is None else clock.boottime() + lifetime
    return Token(secret=text, user=claims.sub if claims.sub.startswith("user_") else None, expires_at=end)


def _lifetime(claims: _Claims, expires: str, headers: Mapping[str, str] | None, clock: Clock) -> float | None:
    """Return the seconds that a token still lives, None when nothing trustworthy tells."""
    if expires and headers and "Date" in headers:
        with contextlib.suppress(ValueError, TypeError):
            sent = email.utils.parsedate_to_datetime(headers["Date"])
            return (datetime.fromisoformat(expires) - sent).total_seconds()
    if claims.exp is not None and clock.wall() >= SANE_WALL:
        return claims.exp - clock.wall()
    if claims.exp is not None and claims.iat is not None:
        return claims.exp - claims.iat
    return None


def _claims(secret: str) -> _Claims:
    """Return the claims, unverified as the SDK reads them: only the platform can verify."""
    parts = secret.split(".")
    jwt_parts = 3
    if len(parts) != jwt_parts:
        return _Claims()
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)), type=_Claims)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return _Claims()


def other_user(wanted: str, got: str) -> NeedsHuman:
    """Return the error for a token of somebody else."""
    return NeedsHuman(
        f"The token belongs to {got}, but this device is {wanted}.",
        emergency="911 and 933 still go out, but without a proven location.",
        todo="Give the device a token of its own user, or reset which user it is.",
        code="token_other_user",
    )


def _command_failed(program: str, what: str) -> AgentError:
    return Retry(f"The token command {program} {what}.", todo="Look at section [token].", code="token_source")
