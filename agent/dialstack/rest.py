"""The REST API of platform.md over aiohttp: one connector per network generation, every failure typed."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import aiohttp
import msgspec

from agent import __version__
from agent.config.settings import PlatformSettings
from agent.dialstack.answers import BODY_LIMIT, WireEmergencyAddress, WireList, captive_portal, decode, problem
from agent.dialstack.civic import same_address
from agent.dialstack.ports import Token, TokenSource, refused_token
from agent.errors import AddressGone, AgentError, Backoff, NeedsHuman, Retry
from agent.model import CivicAddress, EmergencyAddress
from agent.say import say
from agent.system_words import os_words

USER_AGENT = f"dialstack-agent/{__version__}"
ADDRESSES = "/v1/me/emergency-addresses"
PAGES_LIMIT = 50
"""Pages of a list: 5,000 addresses; a cursor that never ends is a defect of the other side."""
AMBIGUOUS = frozenset({"timeout", "connection_lost", "server_error", "bad_answer", "captive_portal"})
"""Codes after which a POST may have been carried out all the same (platform.md 2.5)."""


class RestClient:
    """`AddressApi` over HTTPS. `use_path()` starts a new connection pool (failure 18: aiohttp#9447)."""

    def __init__(self, settings: PlatformSettings, tokens: TokenSource | None) -> None:
        self._settings = settings
        self.tokens = tokens
        self._source: str | None = None
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        """Requests sent since the start, the writes among them (for `/metrics`)."""
        self.writes = 0
        self._posting: tuple[CivicAddress, str] | None = None
        """Address and Idempotency-Key of a POST without an answer so far. A key is never used again after an answer:
        the platform would replay it, also for an address that was deleted since."""

    async def use_path(self, source: str | None) -> None:
        """Forget all connections and connect from this source address from now on."""
        self._source = source
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def http(self) -> aiohttp.ClientSession:
        """Return the client session of this network generation; shared with signalling."""
        if self._session is None or self._session.closed:
            local = (self._source, 0) if self._source else None
            connector = aiohttp.TCPConnector(
                ssl=tls_context(self._settings), local_addr=local, limit=4, ttl_dns_cache=60
            )
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, headers={"User-Agent": USER_AGENT},
                cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_no_redirects()],
            )  # fmt: skip
        return self._session

    # ------------------------------------------------------------------ AddressApi

    async def list(self) -> tuple[EmergencyAddress, ...]:
        """See AddressApi."""
        found: list[EmergencyAddress] = []
        url: str | None = f"{ADDRESSES}?limit=100"
        for _ in range(PAGES_LIMIT):
            if url is None:
                break
            page = decode(*await self._collection("GET", url), WireList)
            found += [item.value() for item in page.data]
            url = self._next(page.next_page_url)
        return tuple(found)

    async def get(self, address_id: str) -> EmergencyAddress:
        """See AddressApi."""
        return decode(*await self._call("GET", _one(address_id)), WireEmergencyAddress).value()

    async def ensure(self, civic: CivicAddress) -> EmergencyAddress:
        """See AddressApi."""
        before = await self.list()
        for address in before:
            if same_address(address.civic, civic):
                return address
        known = {address.id for address in before}
        if self._posting is None or self._posting[0] != civic:
            self._posting = (civic, uuid.uuid4().hex)
        key = self._posting[1]
        body = {name: value for name, value in asdict(civic).items() if value}
        try:
            answer = await self._collection("POST", ADDRESSES, body, {"Idempotency-Key": key})
            record = decode(*answer, WireEmergencyAddress).value()
        except (Retry, Backoff) as error:
            if error.code not in AMBIGUOUS:
                raise
            record = await self._reconcile(civic, known, error)
        except AgentError:
            self._posting = None
            raise
        self._posting = None
        return record

    async def _reconcile(self, civic: CivicAddress, known: set[str], error: AgentError) -> EmergencyAddress:
        """Return the address that a POST without an answer made after all, or raise its error.

        The carrier may have respelled it; but an address that somebody else saved meanwhile is never taken for it (S3).
        """
        fresh = [address for address in await self.list() if address.id not in known]
        for address in fresh:
            if same_address(address.civic, civic):
                return address
        if len(fresh) == 1 and same_address(
            replace(fresh[0].civic, street="", city=""), replace(civic, street="", city="")
        ):
            return fresh[0]
        raise error

    async def delete(self, address_id: str) -> None:
        """See AddressApi."""
        try:
            await self._call("DELETE", _one(address_id))
        except AddressGone:
            return

    async def clear(self, address_id: str) -> None:
        """See AddressApi."""
        await self._call("DELETE", f"{_one(address_id)}/registered_ip")

    # ------------------------------------------------------------------ transport

    def _next(self, url: str | None) -> str | None:
        """Return the next page as a path of our own API; a foreign host would get the token (platform.md 2.3)."""
        if not url:
            return None
        base = urlsplit(self._settings.api)
        parts = urlsplit(urljoin(self._settings.api + "/", url))
        if (parts.scheme, parts.netloc) != (base.scheme, base.netloc):
            raise NeedsHuman(
                say(
                    "The platform's list continues on another host ({netloc}); it was not followed.",
                    netloc=parts.netloc,
                ),
                todo=say("Check platform.api in the configuration."),
                code="foreign_page",
            )
        return f"{parts.path}?{parts.query}"

    async def _collection(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, str]:
        """Call on all addresses: 404 is about the API there, not about an address."""
        try:
            return await self._call(method, path, body, headers)
        except AddressGone as error:
            raise NeedsHuman(
                say("The platform has no emergency addresses under this URL (HTTP 404)."),
                todo=say("Check platform.api in the configuration."),
                code="request_refused",
            ) from error

    async def _call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, str]:
        """Return (body, content type) of a 2xx answer; one more try with a renewed token after 401 or 403."""
        if self.tokens is None:
            raise NeedsHuman(
                say("No token source is configured."), todo=say("Fill section [token]."), code="no_token_source"
            )
        token = await self.tokens.get()
        try:
            return await self._send(method, path, token, body, headers)
        except AgentError as error:
            if not refused_token(error):
                raise
        token = await self.tokens.renew(token)
        return await self._send(method, path, token, body, headers)

    async def _send(
        self, method: str, path: str, token: Token, body: object, headers: Mapping[str, str] | None
    ) -> tuple[bytes, str]:
        self.requests += 1
        self.writes += method != "GET"
        url = self._settings.api + path
        merged = {"Authorization": f"Bearer {token.secret}", **(headers or {})}
        return await request(self.http(), method, url, merged, body=body)

    async def post_for_token(self, url: str, secret: str | None) -> tuple[Mapping[str, str], bytes]:
        """POST to a site's token endpoint (it answers as /v1/user_sessions does); raises AgentError."""
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        kept: dict[str, str] = {}
        body, _ = await request(self.http(), "POST", url, headers, body={}, kept=kept)
        return kept, body


async def request(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    *,
    body: object = None,
    kept: dict[str, str] | None = None,
) -> tuple[bytes, str]:
    """Send one request and return (body, content type) of a 2xx answer; raises a typed AgentError otherwise."""
    extra: dict[str, Any] = {} if body is None else {"data": msgspec.json.encode(body)}
    if body is not None:
        headers = {**headers, "Content-Type": "application/json"}
    try:
        async with http.request(method, url, headers=headers, allow_redirects=False, **extra) as answer:
            raw = await _body(answer.content)
            kind = answer.headers.get("Content-Type", "")
            if kept is not None:
                kept.update(answer.headers)
            if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                return raw, kind if answer.status != HTTPStatus.NO_CONTENT else "application/json"
            raise problem(answer.status, answer.headers, raw, kind)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise transport_problem(error) from error


async def _body(content: aiohttp.StreamReader) -> bytes:
    """Return a body that may come in pieces, cut at BODY_LIMIT."""
    parts, size = [], 0
    while size < BODY_LIMIT and (part := await content.read(BODY_LIMIT - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def transport_problem(error: Exception) -> AgentError:
    """Return the typed error for a request that got no answer, in words that tell DNS, TLS and silence apart."""
    if isinstance(error, _Redirected):
        return captive_portal()
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return Retry(say("The platform did not answer in time."), code="timeout")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return certificate_problem(str(error.certificate_error))
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = str(error.os_error.strerror or error.os_error)
        if "name" in reason.lower() or "resolve" in reason.lower() or "nodename" in reason.lower():
            return Retry(say("The platform's host name {host} cannot be looked up.", host=error.host), code="dns")
        return Retry(
            say(
                "The platform at {host} cannot be reached: {reason}.", host=error.host, reason=os_words(error.os_error)
            ),
            code="unreachable",
        )
    return Retry(
        say("The connection to the platform was lost: {detail}.", detail=error or type(error).__name__),
        code="connection_lost",
    )


class _Redirected(aiohttp.ClientError):
    """Somebody wants us to go elsewhere."""


def _no_redirects() -> aiohttp.TraceConfig:
    """Return a guard: aiohttp follows redirects of a WebSocket upgrade, and the token would go to that host."""

    async def refuse(*_: object) -> None:
        raise _Redirected

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace


def certificate_problem(text: str) -> AgentError:
    """Return the error for a certificate that was not accepted; a wrong clock is the likeliest cause at boot."""
    if "not yet valid" in text or "expired" in text:
        return Retry(
            say("The platform's certificate is not valid at the time that this device's clock shows."),
            todo=say("It is tried again by itself once the clock is set; check the date if it stays."),
            code="clock_wrong",
        )
    return Backoff(
        say("The platform's certificate is not accepted: {text}.", text=text),
        todo=say("Check platform.api and platform.ca_file, and whether this network intercepts TLS."),
        code="certificate",
    )


def tls_context(settings: PlatformSettings) -> ssl.SSLContext | bool:
    """Return the TLS policy: the system's authorities, plus a private one where configured; raises NeedsHuman."""
    if settings.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file))
    except (OSError, ssl.SSLError) as error:
        raise NeedsHuman(
            say(
                "The certificate authority in {ca_file} cannot be read: {error}.", ca_file=settings.ca_file, error=error
            ),
            todo=say("Correct platform.ca_file."),
            code="ca_file",
        ) from error


def _one(address_id: str) -> str:
    return f"{ADDRESSES}/{quote(address_id, safe='')}"
