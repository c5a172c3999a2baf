"""What an answer means, case by case (platform.md 2.4)."""

from __future__ import annotations

import pytest

from agent.dialstack.answers import WireEmergencyAddress, WireList, decode, problem, retry_after
from agent.errors import AddressGone, AddressRefused, AgentError, Backoff, NeedsHuman, Retry

JSON = "application/json; charset=utf-8"
DATE = "Tue, 24 Nov 2026 01:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "99999999999999999999"}, 1e20),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 01:00:30 GMT", "Date": DATE}, 30.0),
        ({"Retry-After": "Tue, 24 Nov 2026 00:00:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Tue, 24 Nov 2026 01:00:30 GMT"}, None),
        ({"Retry-After": "Tue, 24 Nov 2026 01:00:30 -0000", "Date": DATE}, 30.0),
    ],
)
def test_retry_after_in_both_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"<!DOCTYPE html><HTML>", "text/html", "captive_portal"),
        (b"<html>", "text/plain", "captive_portal"),
        (b"", "text/html", "captive_portal"),
        (b"hello", "text/plain", "bad_answer"),
        (b"", "", "bad_answer"),
        (b"", JSON, "bad_answer"),
        (b"{", JSON, "bad_answer"),
        (b"[]", JSON, "bad_answer"),
        (b'{"data": {}}', JSON, "bad_answer"),
        (b'{"data": [{"id": 5, "address": {}}]}', JSON, "bad_answer"),
    ],
)
def test_a_success_that_cannot_be_read_is_none(body: bytes, content_type: str, code: str) -> None:
    with pytest.raises(Retry) as caught:
        decode(body, content_type, WireList)
    assert caught.value.code == code


def test_an_address_of_an_older_or_newer_server_is_read() -> None:
    body = (
        b'{"id": "x", "address": {"city": "C", "state": "CA", "postal_code": "94105", "unit": null, "new": [1]},'
        b' "registered_ip": "", "status": "y"}'
    )
    value = decode(body, "application/problem+json", WireEmergencyAddress).value()
    assert (value.id, value.registered_ip, value.civic.unit, value.civic.street) == ("x", None, "", "")


ERRORS: list[tuple[int, bytes, type[AgentError], str, str]] = [
    (302, b"", Retry, "captive_portal",
     "This network shows a sign-in page instead of letting the phone reach the platform."),
    (401, b"", NeedsHuman, "token_refused", "The platform refused the token (request req_1)."),
    (401, b'{"error": "Old."}', NeedsHuman, "token_refused", "The platform refused the token: Old (request req_1)."),
    (403, b'{"message": "No"}', NeedsHuman, "token_refused", "The platform refused the token: No (request req_1)."),
    (404, b"", AddressGone, "address_gone", "The platform does not know this address any more."),
    (404, b'{"error": {"message": "x", "code": "y"}}', AddressGone, "address_gone",
     "The platform does not know this address any more: x."),
    (422, b"nonsense", AddressRefused, "address_refused", "The address could not be validated."),
    (400, b'{"error": "Bad", "details": {"city": "?"}}', AddressRefused, "address_refused",
     "The address could not be validated: Bad."),
    (400, b'{"error": "Bad", "code": "invalid_pagination"}', Retry, "invalid_pagination",
     "The list of addresses changed while it was read (request req_1)."),
    (400, b'{"error": "Bad"}', NeedsHuman, "request_refused",
     "The platform refused the request (HTTP 400): Bad (request req_1)."),
    (400, b'{"error": "No", "code": "sandbox_feature_unsupported"}', NeedsHuman, "request_refused",
     "The platform refused the request (HTTP 400): No (request req_1)."),
    (409, b"[1]", NeedsHuman, "request_refused", "The platform refused the request (HTTP 409) (request req_1)."),
    (429, b"{}", Backoff, "rate_limited", "The platform asks to wait (request req_1)."),
    (500, b"{", Backoff, "server_error", "The platform has trouble (HTTP 500) (request req_1)."),
    (599, b'{"error": null, "details": 5}', Backoff, "server_error",
     "The platform has trouble (HTTP 599) (request req_1)."),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "code", "text"), ERRORS)
def test_each_status_and_body(status: int, body: bytes, kind: type[AgentError], code: str, text: str) -> None:
    error = problem(status, {"X-Request-Id": "req_1"}, body, JSON)
    assert (type(error), error.code, error.happened) == (kind, code, text)


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_s6_a_web_page_in_between_is_not_the_platforms_no(status: int) -> None:
    """A filter or an edge during a deployment answers with a page: nothing is forgotten for that."""
    error = problem(status, {}, b"<html><h1>Blocked</h1></html>", "text/html")
    assert (type(error), error.code) == (Retry, "bad_answer")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b'{"error": "x", "details": {"street": "a", "zip": "b", "unit": 5}}', {"street": "a", "unit": "5"}),
        (b'{"error": {"message": "x", "details": {"city": "c"}}}', {"city": "c"}),
        (b'{"error": "x", "code": "c", "postal_code": "p", "other": "o"}', {"postal_code": "p"}),
        (b'{"message": "x"}', {}),
        (b'{"error": "x", "details": ["street"]}', {}),
    ],
)
def test_the_fields_of_a_refusal(body: bytes, fields: dict[str, str]) -> None:
    error = problem(422, {}, body, JSON)
    assert isinstance(error, AddressRefused)
    assert error.fields == fields


def test_the_platforms_words_have_an_end() -> None:
    error = problem(422, {}, b'{"error": "' + b"x" * 5000 + b'"}', JSON)
    assert len(error.happened) < 400
