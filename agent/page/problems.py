"""What can go wrong between browser and daemon: typed errors, their HTTP status and headers."""

from __future__ import annotations

import math

from aiohttp import web

from agent.control import Overview
from agent.doctor.result import NO_CALL
from agent.errors import AddressGone, AddressRefused, AgentError, Backoff, NeedsHuman, Retry
from agent.say import say

RETRY_AFTER = 5
"""Seconds that a client should wait when nobody named a time."""
MAX_RETRY_AFTER = 3600
"""Seconds: a person looks again within the hour."""

NOTHING_CHANGED = say("Nothing was changed; 911 and 933 still go out.")


class PageError(AgentError):
    """A request that page or API does not accept; `status` is the HTTP status."""

    def __init__(self, status: int, happened: str, *, todo: str, code: str) -> None:
        super().__init__(happened, emergency=NOTHING_CHANGED, todo=todo, code=code)
        self.status = status
        self.retry_after: float | None = None
        """Seconds after which the same request may be accepted."""


STATUS: tuple[tuple[type[AgentError], int], ...] = (
    (AddressRefused, 422),
    (AddressGone, 404),
    (NeedsHuman, 409),
    (Backoff, 503),
    (Retry, 503),
)
"""Kind of error -> HTTP status, the first that fits."""

CODES: tuple[tuple[type[AgentError], str], ...] = (
    (AddressRefused, "address_refused"),
    (AddressGone, "address_gone"),
    (NeedsHuman, "needs_human"),
    (Backoff, "backoff"),
    (Retry, "retry"),
)
"""Kind of error -> the code it gets when it was raised without one."""


def status_of(error: AgentError) -> int:
    """Return the HTTP status that says what to do next; 500 for what is ours."""
    if isinstance(error, PageError):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def code_of(error: AgentError) -> str:
    """Return the stable code of an error, never empty."""
    return error.code or next((code for kind, code in CODES if isinstance(error, kind)), "internal")


def headers_of(error: AgentError) -> dict[str, str]:
    """Return the headers that belong to an error: `Retry-After` in whole seconds on a 503 and a 429."""
    if status_of(error) not in {web.HTTPServiceUnavailable.status_code, web.HTTPTooManyRequests.status_code}:
        return {}
    named = error.retry_after if isinstance(error, Backoff | PageError) else None
    seconds = RETRY_AFTER if named is None else min(max(1, math.ceil(named)), MAX_RETRY_AFTER)
    return {"Retry-After": str(seconds)}


def as_of(error: AgentError, overview: Overview | None) -> AgentError:
    """Return an error that says of 911 what is true now: most say that calls go out, whatever else is wrong."""
    if overview is None or not overview.no_call:
        return error
    honest = error.__class__.__new__(error.__class__, *error.args)  # whoever keeps the other one keeps it as it is
    honest.__dict__.update(error.__dict__)
    honest.emergency = NO_CALL
    return honest


_GO_BACK = say("Go back to the first page.")
_OF_HTTP = {
    404: ("not_found", say("There is no such page."), _GO_BACK),
    405: (
        "method_not_allowed",
        say("This page does not take that kind of request."),
        _GO_BACK,
    ),
    413: ("too_large", say("The request is larger than 16 KiB."), say("Send a shorter one.")),
}
"""Status of an HTTP error by aiohttp -> code, what happened, what to do."""


def from_http(error: web.HTTPException) -> PageError:
    """Return an aiohttp error in our words."""
    code, happened, todo = _OF_HTTP.get(error.status, ("bad_request", say("The request is malformed."), _GO_BACK))
    return PageError(error.status, happened, todo=todo, code=code)


def internal() -> AgentError:
    """Return the error for an exception that nobody foresaw; its details stand in the log."""
    return AgentError(
        say("The page failed with an internal error."),
        emergency=say("Calls do not pass through this page: 911 and 933 still go out."),
        todo=say("Try again; if it stays, look at the log of dialstack-agent."),
        code="internal",
    )
