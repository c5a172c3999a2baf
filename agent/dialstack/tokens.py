"""User tokens: from a file, a command or an endpoint; renewed before they expire on a clock that never steps."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import email.utils
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

import msgspec

from agent.clock import SANE_WALL, Clock
from agent.config.load import read_secret
from agent.config.settings import TokenSettings
from agent.dialstack.ports import Token
from agent.errors import AgentError, NeedsHuman, Retry
from agent.say import say
from agent.system_words import os_words

EARLY = 60.0
"""Seconds before its end at which a token is renewed (the SDK's own figure, platform.md 4.5)."""
LOOK_AGAIN = 5.0
"""Seconds between tries to renew a token that is still good (platform.md 4.5: never sooner)."""
REFUSED_HOLD = 60.0
"""Seconds before a refused token is offered again while its source has no other (failure 16)."""
COMMAND_TIMEOUT = 15.0
REAP_WAIT = 1.0
OUTPUT_LIMIT = 64 * 1024
"""Bytes: a token has one or two thousand."""

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
        self._looked = 0.0
        """Boottime of the last look at the source."""
        self._refused: tuple[str, float] | None = None
        """A secret that the platform refused, and until when it is not offered again."""
        self._lock = asyncio.Lock()

    @property
    def expires_at(self) -> float | None:
        """Boottime at which the token in hand ends; None: there is none, or nothing tells."""
        return self._token.expires_at if self._token is not None else None

    async def get(self) -> Token:
        """See TokenSource."""
        async with self._lock:
            token = self._token
            if token is None or self._expired(token):
                self._token = None
                token = await self._read()
                if self._refused is not None and self._refused[0] == token.secret and self._held(self._refused[1]):
                    raise _no_other()
                self._token = token
            elif self._due(token):
                with contextlib.suppress(AgentError):  # what is in hand is good until it ends
                    self._token = token = await self._read()
            return token

    async def renew(self, refused: Token) -> Token:
        """See TokenSource: reads the source once more; the same token again is an answer for people."""
        async with self._lock:
            if self._token is None or self._token.secret == refused.secret:
                self._token = None
                self._token = await self._read()
            if self._token.secret == refused.secret:
                self._token = None
                self._refused = (refused.secret, self._clock.boottime() + REFUSED_HOLD)
                raise _no_other()
            return self._token

    def forget(self) -> None:
        """See TokenSource."""
        self._token = None

    def _held(self, until: float) -> bool:
        return self._clock.boottime() < until

    def _expired(self, token: Token) -> bool:
        return token.expires_at is not None and self._clock.boottime() >= token.expires_at

    def _due(self, token: Token) -> bool:
        now = self._clock.boottime()
        early = token.expires_at is not None and now >= token.expires_at - EARLY
        return early and now >= self._looked + LOOK_AGAIN

    async def _read(self) -> Token:
        self._looked = self._clock.boottime()
        source = self._settings.source
        if source == "command":
            token = parse(await self._run(), self._clock)
        elif source == "endpoint":
            headers, body = await self._ask()
            token = parse(body.decode(errors="replace"), self._clock, headers)
        else:
            token = parse(await asyncio.to_thread(read_secret, self._settings.file, "token"), self._clock)
        if token.expires_at is not None and token.expires_at <= self._clock.boottime():
            raise NeedsHuman(
                say("The token has expired."),
                emergency=say("911 and 933 still go out, but without a proven location."),
                todo=say("Put a new token where the device reads it; it is noticed by itself."),
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

    async def _ask(self) -> tuple[Mapping[str, str], bytes]:
        """POST to the endpoint; its no is about this device's access to it, never about a token or an address."""
        try:
            return await self._post(self._settings.endpoint, self._endpoint_secret())
        except NeedsHuman as error:
            raise NeedsHuman(
                say("The token endpoint refused to give a token."),
                emergency=say("911 and 933 still go out, but without a proven location."),
                todo=say("Check token.endpoint and token.endpoint_secret_file."),
                code="token_source",
            ) from error

    async def _run(self) -> str:
        command = self._settings.command
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise _command_failed(
                say("The token command {program} cannot be started: {why}.", program=command[0], why=os_words(error))
            ) from error
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        output, status = b"", None
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                while len(output) <= OUTPUT_LIMIT and (part := await process.stdout.read(OUTPUT_LIMIT)):
                    output += part
                if len(output) <= OUTPUT_LIMIT:
                    status = await process.wait()
        except TimeoutError as error:
            raise _command_failed(
                say(
                    "The token command {program} did not end within {seconds:g} s.",
                    program=command[0],
                    seconds=COMMAND_TIMEOUT,
                )
            ) from error
        finally:
            await _reap(process)
        if status is None:
            raise _command_failed(
                say(
                    "The token command {program} printed more than {kibibytes} KiB.",
                    program=command[0],
                    kibibytes=OUTPUT_LIMIT // 1024,
                )
            )
        if status != 0:
            raise _command_failed(
                say("The token command {program} ended with status {status}.", program=command[0], status=status)
            )
        return output.decode(errors="replace")


async def _reap(process: asyncio.subprocess.Process) -> None:
    """Make an end of a command and what it started, unless it has ended by itself."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with contextlib.suppress(TimeoutError):  # what left the session may hold the pipe
        async with asyncio.timeout(REAP_WAIT):
            while await process.stdout.read(OUTPUT_LIMIT):
                pass  # a full pipe would keep its transport open
            await process.wait()


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
            raise Retry(
                say("The token source's answer could not be understood: {error}.", error=error), code="token_source"
            ) from error
        text, expires = minted.client_secret, minted.expires_at
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise Retry(say("The token source gave no token."), todo=say("Look at section [token]."), code="token_source")
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
    if claims.exp is None and expires and clock.wall() >= SANE_WALL:
        with contextlib.suppress(ValueError, TypeError):
            return (datetime.fromisoformat(expires) - datetime.fromtimestamp(clock.wall(), UTC)).total_seconds()
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


def _no_other() -> NeedsHuman:
    return NeedsHuman(
        say("The platform refused the token, and its source gives no other one."),
        emergency=say("911 and 933 still go out, but without a proven location."),
        todo=say("Put a new token where the device reads it; it is noticed by itself."),
        code="token_expired",
    )


def other_user(wanted: str, got: str) -> NeedsHuman:
    """Return the error for a token of somebody else."""
    return NeedsHuman(
        say("The token belongs to {got}, but this device is {wanted}.", got=got, wanted=wanted),
        emergency=say("911 and 933 still go out, but without a proven location."),
        todo=say("Give the device a token of its own user, or reset which user it is."),
        code="token_other_user",
    )


def _command_failed(happened: str) -> AgentError:
    return Retry(happened, todo=say("Look at section [token]."), code="token_source")
