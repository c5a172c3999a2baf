"""Who may ask for what: Host, Origin, fetch metadata, CSRF tokens and the headers of every answer (S9)."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from agent.page.problems import PageError
from agent.page.routes import Role
from agent.page.visitor import NOBODY, Channel, Visitor, current

MAX_BODY = 16 * 1024
"""Bytes: the longest form is a tenth of it; the server hands it to aiohttp, which stops reading there."""
MAX_FIELDS = 32
BODY_TIMEOUT = 10.0
"""Seconds in which a body must have arrived: it comes from the same device."""

COOKIE = "dialstack_csrf"
HEADER = "X-CSRF-Token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

_KEY: Any = getattr(web, "RequestKey", lambda name, _kind: name)
"""aiohttp 3.14 warns about plain names in a request, 3.8 knows nothing else."""
_TOKEN_OF = _KEY("dialstack_csrf", str)
_IS_NEW = _KEY("dialstack_csrf_new", bool)
_VISITOR = _KEY("dialstack_visitor", Visitor)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not `no-referrer`: with that, browsers send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = frozenset({"GET", "HEAD"})


def is_local(request: web.BaseRequest) -> bool:
    """Tell whether a request came over the Unix socket, whose file mode says who may."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    return peer is not None and peer.family == socket.AF_UNIX


def recognize(request: web.BaseRequest) -> Visitor:
    """Find out who is asking."""
    return Visitor(Channel.SOCKET if is_local(request) else Channel.SCREEN, Role.TECHNICIAN)


def visitor(request: web.BaseRequest) -> Visitor:
    """Return who is asking, as the server recognized them; nobody before it did."""
    found = request.get(_VISITOR)
    return found if isinstance(found, Visitor) else NOBODY


def admit(request: web.BaseRequest, found: Visitor, needed: Role) -> None:
    """Let a visitor in, or refuse what takes another role."""
    request[_VISITOR] = found
    current.set(found)
    if found.role < needed:
        raise PageError(
            403,
            "Only a technician may do this.",
            todo="Sign in with the technician's PIN.",
            code="technician_only",
        )


def who(request: web.BaseRequest) -> str:
    """Return who is asking, as it is recorded with what they do."""
    return visitor(request).who


def is_loopback(host: str) -> bool:
    """Tell whether a name or address without port means this device."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_host(request: web.BaseRequest, names: frozenset[str]) -> None:
    """Refuse names that are not this device's: DNS rebinding sends a stranger's name to a loopback address."""
    hosts = request.headers.getall("Host", [])
    try:
        parts = urlsplit(f"//{hosts[0]}") if len(hosts) == 1 else None
        name = (parts.hostname or "") if parts and parts.netloc == hosts[0] and "@" not in hosts[0] else ""
        _ = parts.port if parts else None
    except ValueError:
        name = ""
    if not (is_loopback(name) or name in names):
        raise PageError(
            421,
            "This page answers only under the device's own name.",
            todo="Open it on the device itself, as http://localhost followed by the port.",
            code="wrong_host",
        )


def check_origin(request: web.BaseRequest) -> None:
    """Refuse requests that another site makes a browser send; links that lead here stay possible."""
    site = request.headers.get("Sec-Fetch-Site", "")
    unsafe = request.method not in _SAFE
    visit = not unsafe and request.headers.get("Sec-Fetch-Mode") == "navigate"
    foreign = site == "cross-site" and not visit
    if unsafe:
        foreign = foreign or site not in {"", "same-origin", "none"}
        for origin in request.headers.getall("Origin", []):
            parts = urlsplit(origin)
            same = parts.netloc.lower() == request.headers["Host"].lower()
            foreign = foreign or not (same and parts.scheme in {"http", "https"})
    if foreign:
        raise PageError(
            403,
            "Another web site tried to use this page.",
            todo="Open this page itself and press the button there.",
            code="cross_site",
        )


def csrf_token(request: web.Request) -> str:
    """Return this browser's token, a new one if it has none; `finish` hands it over as a cookie."""
    token = request.get(_TOKEN_OF)
    if not isinstance(token, str):
        token = request.cookies.get(COOKIE, "")
        if not _TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
            request[_IS_NEW] = True
        request[_TOKEN_OF] = token
    return token


def check_csrf(request: web.Request, given: str) -> None:
    """Refuse what does not carry the token of this browser's cookie, compared in constant time."""
    cookie = request.cookies.get(COOKIE, "")
    if not _TOKEN.fullmatch(cookie) or not hmac.compare_digest(cookie.encode(), given.encode()):
        raise PageError(
            403,
            "This form does not come from this page, or the browser lost its cookie.",
            todo="Open the first page again and press the button once more; cookies must be allowed for this device.",
            code="csrf",
        )


def check_api(request: web.Request) -> None:
    """Refuse API calls that change something without JSON and, over TCP, without the CSRF header."""
    if request.method not in _SAFE:
        if request.content_type != "application/json":
            raise PageError(
                415, "The API takes JSON only.", todo="Send Content-Type: application/json.", code="unsupported_type"
            )
        if not is_local(request):
            check_csrf(request, request.headers.get(HEADER, ""))


async def read_body(request: web.Request) -> bytes:
    """Return the body; raises PageError 413 above MAX_BODY and 408 when it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise PageError(408, "The request did not arrive in time.", todo="Send it again.", code="too_slow") from None
    except web.HTTPRequestEntityTooLarge:
        raise PageError(
            413, "The request is larger than 16 KiB.", todo="Send a shorter one.", code="too_large"
        ) from None


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form whose CSRF token is right; raises PageError for everything else."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise PageError(
            415, "This page takes plain forms only.", todo="Use the form on the page.", code="unsupported_type"
        )
    body = await read_body(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise PageError(400, "The form is malformed.", todo="Use the form on the page.", code="malformed") from None
    fields = dict(pairs)
    check_csrf(request, fields.get("csrf", ""))
    return fields


def finish(request: web.Request, headers: Mapping[str, str], response: web.StreamResponse) -> None:
    """Put the protecting headers, `no-store` and a new CSRF cookie on an answer."""
    for name, value in headers.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    if request.get(_IS_NEW):
        # aiohttp has turned its cookies into headers by now
        response.headers.add("Set-Cookie", f"{COOKIE}={csrf_token(request)}; Path=/; HttpOnly; SameSite=Strict")
