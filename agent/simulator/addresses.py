"""The emergency addresses of all users (platform.md 2): create and validate, list, read, delete, clear."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.clock import Clock
from agent.simulator.behavior import Behavior
from agent.simulator.binding import Saved
from agent.simulator.refusal import Refusal, not_found
from agent.simulator.streets import normalize
from agent.simulator.tokens import iso

PATH = "/v1/me/emergency-addresses"
REQUIRED = ("street", "city", "state", "postal_code")
OPTIONAL = ("address_number", "unit", "country")
DEFAULT_LIMIT = 10
MAX_LIMIT = 100


class Addresses:
    """A user-scoped resource; every method raises `Refusal` as the REST API would answer."""

    def __init__(self, clock: Clock, behavior: Callable[[], Behavior]) -> None:
        self._clock = clock
        self._behavior = behavior
        self._saved: dict[str, Saved] = {}
        self._sequence = 0
        self._replays: dict[tuple[str, str], Saved] = {}

    def find(self, number: object) -> Saved | None:
        """Return any user's address by id."""
        return self._saved.get(number) if isinstance(number, str) else None

    def of(self, user: str) -> list[Saved]:
        """Return a user's addresses, newest first."""
        return sorted((s for s in self._saved.values() if s.user == user), key=lambda s: -s.sequence)

    def create(self, user: str, body: object, idempotency_key: str | None = None) -> Saved:
        """Validate and save; 400 for missing or mistyped fields, 422 where the carrier knows no such address."""
        behavior = self._behavior()
        key = (user, idempotency_key or "")
        if idempotency_key and behavior.idempotency == "honor" and key in self._replays:
            return self._replays[key]
        address = normalize(_checked(body), canada=behavior.canada)
        saved = next((s for s in self.of(user) if s.address == address), None)
        if saved is None or behavior.duplicates == "allow":
            if len(self.of(user)) >= behavior.max_addresses:
                text = f"A user can have {behavior.max_addresses} emergency addresses"
                raise Refusal(422, text, code="limit_reached")
            saved = self._add(user, address)
        if idempotency_key:
            self._replays[key] = saved
        return saved

    def _add(self, user: str, address: dict[str, str | float]) -> Saved:
        self._sequence += 1
        number = f"emerg_{self._sequence:08d}"
        saved = Saved(number, user, self._sequence, address, iso(self._clock.wall()))
        self._saved[number] = saved
        return saved

    def get(self, user: str, number: str) -> Saved:
        """Return one; 404 if unknown, 404 or 403 if it is another user's."""
        saved = self._saved.get(number)
        if saved is None:
            raise not_found()
        if saved.user != user:
            raise not_found() if self._behavior().foreign_status == 404 else Refusal(403, "Forbidden")  # noqa: PLR2004
        return saved

    def rewrite(self, number: str, changes: Mapping[str, str]) -> Saved:
        """Change an address behind its user's back, as a carrier's mistake does; 404, or 422 for what is no street."""
        saved = self._saved.get(number)
        if saved is None:
            raise not_found()
        fields = {name: str(saved.address[name]) for name in (*REQUIRED, *OPTIONAL) if name in saved.address}
        saved.address = normalize({**fields, **changes}, canada=self._behavior().canada)
        return saved

    def delete(self, user: str, number: str) -> Saved:
        """Delete one and return what it was."""
        saved = self.get(user, number)
        del self._saved[number]
        return saved

    def clear(self, user: str, number: str) -> Saved:
        """Forget the network that it is anchored to (rule 3.1.5)."""
        saved = self.get(user, number)
        saved.registered_ip = None
        return saved

    def page(self, user: str, limit: str | None, cursor: str | None) -> dict[str, Any]:
        """Return one page of the list, newest first (platform.md 2.3)."""
        size = _limit(limit)
        everything = self.of(user)
        start = 0
        if cursor is not None:
            direction, edge = _read_cursor(cursor, user)
            if direction == "after":
                start = sum(1 for s in everything if s.sequence >= edge)
            else:
                start = max(0, sum(1 for s in everything if s.sequence > edge) - size)
        shown = everything[start : start + size]
        more = start + size < len(everything)
        return {
            "object": "list",
            "url": PATH,
            "next_page_url": _url(size, "after", shown[-1].sequence, user) if shown and more else None,
            "previous_page_url": _url(size, "before", shown[0].sequence, user) if shown and start else None,
            "data": [saved.resource() for saved in shown],
        }


def _checked(body: object) -> dict[str, str]:
    if not isinstance(body, Mapping):
        raise Refusal(400, "The body must be a JSON object", code="validation_error")
    details = {name: "is required" for name in REQUIRED if not str(body.get(name) or "").strip()}
    for name in (*REQUIRED, *OPTIONAL):
        if body.get(name) is not None and not isinstance(body[name], str):
            details[name] = "must be a string"
    if details:
        raise Refusal(400, "Invalid request", code="validation_error", details=details)
    return {name: body[name].strip() for name in (*REQUIRED, *OPTIONAL) if body.get(name)}


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        details = {"limit": f"must be 1 to {MAX_LIMIT}"}
        raise Refusal(400, "Invalid request", code="validation_error", details=details)
    return int(text)


def _url(limit: int, direction: str, edge: int, user: str) -> str:
    cursor = base64.urlsafe_b64encode(json.dumps([direction, edge, user]).encode()).decode().rstrip("=")
    return f"{PATH}?limit={limit}&page={cursor}"


def _read_cursor(cursor: str, user: str) -> tuple[str, int]:
    try:
        direction, edge, owner = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if direction in {"after", "before"} and owner == user:
            return direction, int(edge)
    except (ValueError, TypeError, binascii.Error):
        pass
    raise Refusal(400, "The page cursor is not valid", code="invalid_pagination")
