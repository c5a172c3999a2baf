"""Who may ask for what: Host, Origin, fetch metadata, CSRF tokens and the headers of every answer (S9)."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from agent.page.access.visitor import NOBODY, Visitor, current
from agent.page.problems import PageError
from agent.page.routes import Role
from agent.say import say

MAX_BODY = 16 * 1024
"""Bytes: the longest form is a tenth of it; the server hands it to aiohttp, which stops reading there."""
MAX_FIELDS = 32
BODY_TIMEOUT = 10.0
"""Seconds in which a body must have arrived: it comes from the same device."""

COOKIE = "dialstack_csrf"
SESSION_COOKIE = "dialstack_session"
HEADER = "X-CSRF-Token"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

_KEY: Any = getattr(web, "RequestKey", lambda name, _kind: name)
"""aiohttp 3.14 warns about plain names in a request, 3.8 knows nothing else."""
_TOKEN_OF = _KEY("dialstack_csrf", str)
_IS_NEW = _KEY("dialstack_csrf_new", bool)
_NOTE = _KEY("dialstack_note", str)
_STAYS = _KEY("dialstack_stays", Callable)
_SESSION_OF = _KEY("dialstack_session", str)
_VISITOR = _KEY("dialstack_visitor", Visitor)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
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
SAFE = frozenset({"GET", "HEAD"})


def is_local(request: web.BaseRequest) -> bool:
    """Tell whether a request came over the Unix socket, whose file mode says who may."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    return peer is not None and peer.family == socket.AF_UNIX


def is_secure(request: web.BaseRequest) -> bool:
    """Tell whether a request came over TLS."""
    return request.transport is not None and request.transport.get_extra_info("ssl_object") is not None


def ends(request: web.BaseRequest) -> tuple[str, str]:
    """Return our address and the peer's of a TCP connection; empty when it is gone."""
    names = [request.transport.get_extra_info(name) if request.transport else None for name in ("sockname", "peername")]
    here, there = (str(name[0]) if isinstance(name, tuple) else "" for name in names)
    return here, there


def visitor(request: web.BaseRequest) -> Visitor:
    """Return who is asking, as the server recognized them; nobody before it did."""
    found = request.get(_VISITOR)
    return found if isinstance(found, Visitor) else NOBODY


def introduce(request: web.BaseRequest, found: Visitor) -> None:
    """Let handlers and templates know who is asking."""
    request[_VISITOR] = found
    current.set(found)


def admit(found: Visitor, needed: Role) -> None:
    """Let a visitor in, or raise PageError 401 or 403 for what takes another role."""
    if found.role >= needed:
        return
    if found.role is Role.ANYONE:
        raise PageError(401, say("Sign in first."), todo=say("Sign in with the PIN of this phone."), code="sign_in")
    raise PageError(
        403,
        say("Only a technician may do this."),
        todo=say("Sign in with the technician's PIN."),
        code="technician_only",
    )


def may_stay(request: web.BaseRequest, stays: Callable[[], bool]) -> None:
    """Keep what tells, while an answer goes on, whether its reader may still have it."""
    request[_STAYS] = stays


def stays(request: web.BaseRequest) -> bool:
    """Tell whether the reader of a stream may still have it: sessions end and PINs change."""
    found = request.get(_STAYS)
    return bool(callable(found) and found())


def note(request: web.BaseRequest, text: str) -> None:
    """Say for the audit what a request does, in a few words and without secrets."""
    request[_NOTE] = text


def noted(request: web.BaseRequest) -> str:
    """Return what was said for the audit, empty when nothing was."""
    found: str = request.get(_NOTE, "")
    return found


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


def check_host(request: web.BaseRequest, is_ours: Callable[[str], bool]) -> None:
    """Refuse names that are not this device's: DNS rebinding sends a stranger's name to an address of ours."""
    hosts = request.headers.getall("Host", [])
    try:
        parts = urlsplit(f"//{hosts[0]}") if len(hosts) == 1 else None
        name = (parts.hostname or "") if parts and parts.netloc == hosts[0] and "@" not in hosts[0] else ""
        _ = parts.port if parts else None
    except ValueError:
        name = ""
    if not (name and is_ours(name)):
        raise PageError(
            421,
            say("This page answers only under the device's own name."),
            todo=say("Open it on the device itself, as http://localhost followed by the port."),
            code="wrong_host",
        )


def check_origin(request: web.BaseRequest) -> None:
    """Refuse requests that another site makes a browser send; links that lead here stay possible."""
    site = request.headers.get("Sec-Fetch-Site", "")
    unsafe = request.method not in SAFE
    # a frame is no visit: the policy hides it, but it would hold one of the few event streams
    whole_window = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    visit = not unsafe and request.headers.get("Sec-Fetch-Mode") == "navigate" and whole_window
    foreign = site == "cross-site" and not visit
    if unsafe:
        foreign = foreign or site not in {"", "same-origin", "none"}
        for origin in request.headers.getall("Origin", []):
            parts = urlsplit(origin)
            same = parts.netloc.lower() == request.headers["Host"].lower()
            foreign = foreign or not (same and parts.scheme == ("https" if is_secure(request) else "http"))
    if foreign:
        raise PageError(
            403,
            say("Another web site tried to use this page."),
            todo=say("Open this page itself and press the button there."),
            code="cross_site",
        )


def _cookie_name(request: web.BaseRequest, name: str) -> str:
    """Return the name of a cookie: over TLS one that no other port and no plain HTTP can set (RFC 6265bis 4.1.3.2)."""
    return f"__Host-{name}" if is_secure(request) else name


def csrf_token(request: web.Request) -> str:
    """Return this browser's token, a new one if it has none; `finish` hands it over as a cookie."""
    token = request.get(_TOKEN_OF)
    if not isinstance(token, str):
        token = request.cookies.get(_cookie_name(request, COOKIE), "")
        if not _TOKEN.fullmatch(token):
            token = secrets.token_urlsafe(32)
            request[_IS_NEW] = True
        request[_TOKEN_OF] = token
    return token


def session_cookie(request: web.BaseRequest) -> str:
    """Return the id of the session that a browser says it has."""
    value = request.cookies.get(_cookie_name(request, SESSION_COOKIE), "")
    return value if _TOKEN.fullmatch(value) else ""


def begin_session(request: web.Request, session_id: str) -> None:
    """Hand over a session, or with an empty id take it away; the CSRF token changes with it."""
    request[_SESSION_OF] = session_id
    request[_TOKEN_OF] = secrets.token_urlsafe(32)
    request[_IS_NEW] = True


def check_csrf(request: web.Request, given: str) -> None:
    """Refuse what does not carry the token of this browser's cookie, compared in constant time."""
    cookie = request.cookies.get(_cookie_name(request, COOKIE), "")
    if not _TOKEN.fullmatch(cookie) or not hmac.compare_digest(cookie.encode(), given.encode()):
        raise PageError(
            403,
            say("This form does not come from this page, or the browser lost its cookie."),
            todo=say(
                "Open the first page again and press the button once more; cookies must be allowed for this device."
            ),
            code="csrf",
        )


def check_api(request: web.Request) -> None:
    """Refuse API calls that change something without JSON and, over TCP, without the CSRF header."""
    if request.method not in SAFE:
        if request.content_type != "application/json":
            raise PageError(
                415,
                say("The API takes JSON only."),
                todo=say("Send Content-Type: application/json."),
                code="unsupported_type",
            )
        if not is_local(request):
            check_csrf(request, request.headers.get(HEADER, ""))


async def read_body(request: web.Request) -> bytes:
    """Return the body; raises PageError 413 above MAX_BODY and 408 when it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.read()
    except TimeoutError:
        raise PageError(
            408, say("The request did not arrive in time."), todo=say("Send it again."), code="too_slow"
        ) from None
    except (web.RequestPayloadError, ConnectionError):  # broken, or its sender left
        raise PageError(
            400, say("The request is malformed."), todo=say("Go back to the first page."), code="bad_request"
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise PageError(
            413, say("The request is larger than 16 KiB."), todo=say("Send a shorter one."), code="too_large"
        ) from None


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of a form whose CSRF token is right; raises PageError for everything else."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise PageError(
            415,
            say("This page takes plain forms only."),
            todo=say("Use the form on the page."),
            code="unsupported_type",
        )
    body = await read_body(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        raise PageError(
            400, say("The form is malformed."), todo=say("Use the form on the page."), code="malformed"
        ) from None
    fields = dict(pairs)
    check_csrf(request, fields.get("csrf", ""))
    return fields


def finish(request: web.Request, headers: Mapping[str, str], response: web.StreamResponse) -> None:
    """Put the protecting headers, `no-store` and a new CSRF cookie on an answer."""
    for name, value in headers.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.pop("Server", None)  # versions are nobody's business
    # aiohttp has turned its cookies into headers by now
    if request.get(_IS_NEW):
        response.headers.add("Set-Cookie", _cookie(request, COOKIE, csrf_token(request)))
    session_id = request.get(_SESSION_OF)
    if isinstance(session_id, str):
        response.headers.add("Set-Cookie", _cookie(request, SESSION_COOKIE, session_id))


def _cookie(request: web.Request, name: str, value: str) -> str:
    """Return a cookie that scripts cannot read and other sites cannot send; an empty value takes it away."""
    ends = "" if value else "; Max-Age=0"
    secure = "; Secure" if is_secure(request) else ""
    return f"{_cookie_name(request, name)}={value}; Path=/{ends}{secure}; HttpOnly; SameSite=Strict"
