"""What an HTTP answer of the platform means: pure, tolerant of every error body seen (platform.md 2.4)."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus
from typing import TypeVar

import msgspec

from agent.dialstack.civic import FIELDS
from agent.errors import AddressGone, AddressRefused, AgentError, Backoff, NeedsHuman, Retry
from agent.model import CivicAddress, EmergencyAddress
from agent.say import say

T = TypeVar("T")

BODY_LIMIT = 1024 * 1024
"""Bytes of an answer that are read: a page of 100 addresses has 40 KiB."""
_SHOWN = 300


class WireAddress(msgspec.Struct):
    """`address` of the resource; optional fields stay optional for older servers."""

    city: str = ""
    state: str = ""
    postal_code: str = ""
    country: str = "US"
    address_number: str | None = None
    street: str | None = None
    unit: str | None = None


class WireEmergencyAddress(msgspec.Struct):
    """EmergencyAddress of platform.md 2.2."""

    id: str
    address: WireAddress
    registered_ip: str | None = None
    created_at: str = ""

    def value(self) -> EmergencyAddress:
        """Return it as the rest of the agent knows it."""
        wire = self.address
        civic = CivicAddress(
            address_number=wire.address_number or "",
            street=wire.street or "",
            unit=wire.unit or "",
            city=wire.city,
            state=wire.state,
            postal_code=wire.postal_code,
            country=wire.country,
        )
        return EmergencyAddress(
            id=self.id, civic=civic, registered_ip=self.registered_ip or None, created_at=self.created_at
        )


class WireList(msgspec.Struct):
    """List envelope of platform.md 2.3."""

    data: list[WireEmergencyAddress]
    next_page_url: str | None = None


def decode(body: bytes, content_type: str, kind: type[T]) -> T:
    """Return a successful body as `kind`; raises Retry with code `captive_portal` or `bad_answer`."""
    if "json" not in content_type:
        if _is_page(body, content_type):
            raise captive_portal()
        raise Retry(say("The platform answered something that is not JSON."), code="bad_answer")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise Retry(
            say("The platform's answer could not be understood: {error}.", error=error), code="bad_answer"
        ) from error


def _is_page(body: bytes, content_type: str) -> bool:
    return "html" in content_type or ("json" not in content_type and b"<html" in body[:2048].lower())


def captive_portal() -> AgentError:
    """Return the error for a network that answers in the platform's place (failure 18)."""
    return Retry(
        say("This network shows a sign-in page instead of letting the phone reach the platform."),
        emergency=say("911 calls may not get through this network either."),
        todo=say("Sign the device in to this network, or plug it into another one."),
        code="captive_portal",
    )


def _in_between(status: int) -> AgentError:
    """Return the error for a redirect or a filter's page: not the platform's no (S6), nothing is forgotten for it."""
    if status < HTTPStatus.BAD_REQUEST:
        return captive_portal()
    return Retry(
        say("Something on the way to the platform answered in its place (HTTP {status}).", status=status),
        todo=say("Check whether this network filters what the phone may reach."),
        code="bad_answer",
    )


_NOT_VALIDATED = "the address could not be validated"
"""The platform's own sentence for it (platform.md), which is not said twice."""


def problem(status: int, headers: Mapping[str, str], body: bytes, content_type: str) -> AgentError:
    """Return the typed error for an answer that is not 2xx, with the platform's own words."""
    if status < HTTPStatus.BAD_REQUEST or (status < HTTPStatus.INTERNAL_SERVER_ERROR and _is_page(body, content_type)):
        return _in_between(status)
    words, code, fields = _words(body, content_type)
    said = f": {words}" if words else ""
    request = headers.get("X-Request-Id", "")
    trace = f" (request {request[:64]})" if request else ""
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return NeedsHuman(
            say("The platform refused the token{said}{trace}.", said=said, trace=trace), code="token_refused"
        )
    if status == HTTPStatus.NOT_FOUND:
        return AddressGone(
            say("The platform does not know this address any more{said}.", said=said),
            emergency=say("911 goes out without a location until an address is confirmed."),
            todo=say("Confirm where this phone is."),
            code="address_gone",
        )
    if status == HTTPStatus.UNPROCESSABLE_ENTITY or (status == HTTPStatus.BAD_REQUEST and fields):
        said = "" if words.casefold() == _NOT_VALIDATED else said
        return AddressRefused(
            say("The address could not be validated{said}.", said=said),
            fields={k: v for k, v in fields.items() if k in FIELDS},
        )
    if status == HTTPStatus.BAD_REQUEST and code == "invalid_pagination":
        return Retry(say("The list of addresses changed while it was read{trace}.", trace=trace), code=code)
    return _by_status(status, headers, f"{said}{trace}")


def _by_status(status: int, headers: Mapping[str, str], said: str) -> AgentError:
    wait = retry_after(headers)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Backoff(say("The platform asks to wait{said}.", said=said), retry_after=wait, code="rate_limited")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        text = say("The platform has trouble (HTTP {status}){said}.", status=status, said=said)
        return Backoff(text, retry_after=wait, code="server_error")
    return NeedsHuman(
        say("The platform refused the request (HTTP {status}){said}.", status=status, said=said),
        todo=say("Report this to whoever looks after the device: it should not happen."),
        code="request_refused",
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of Retry-After in either form of RFC 9110 10.2.3, None when there is none."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
        sent = email.utils.parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return None
    if when.tzinfo is None or sent.tzinfo is None:
        when, sent = when.replace(tzinfo=UTC), sent.replace(tzinfo=UTC)
    return max(0.0, (when - sent).total_seconds())


def _words(body: bytes, content_type: str) -> tuple[str, str, dict[str, str]]:
    """Return (text, stable code, details) from any of the error bodies of platform.md 2.4."""
    if "json" not in content_type:
        return "", "", {}
    try:
        data = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return "", "", {}
    if not isinstance(data, dict):
        return "", "", {}
    inner = data["error"] if isinstance(data.get("error"), dict) else data
    text = inner.get("message") or inner.get("error") or ""
    details = data.get("details") or inner.get("details")
    if not isinstance(details, dict):  # or as siblings of the text
        details = {name: data[name] for name in FIELDS if isinstance(data.get(name), str)}
    fields = {str(k): str(v)[:_SHOWN] for k, v in details.items()}
    return str(text)[:_SHOWN].rstrip(". "), str(inner.get("code") or ""), fields
